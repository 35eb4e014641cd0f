"""Which samples of the sources a model is evaluated on: drawn in blocks and paired as the user asks."""
