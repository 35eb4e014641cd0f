"""Labelled images from disk or a hub: readers that run nothing, pixels in memory or on disk, crops and flips."""
