"""Singular modes of linear networks, and what happens to them when sources are missing."""
