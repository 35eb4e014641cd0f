"""Parallel deep pathways that compete for the same modes."""
