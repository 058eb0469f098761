"""Heads: a fused vector in, logits of one task out."""
