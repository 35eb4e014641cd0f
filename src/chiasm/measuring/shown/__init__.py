"""What a model is shown: samples of its sources, in blocks, paired as the user asks."""
