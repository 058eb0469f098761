"""Video backbones: clips in, token features out."""
