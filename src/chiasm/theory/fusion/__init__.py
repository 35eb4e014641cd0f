"""Two sources fused by deep linear pathways, with weight decay."""
