"""What the pages of all theories share: writing them, and their figures."""
