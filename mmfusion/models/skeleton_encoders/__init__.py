"""Skeleton encoders: joints in, token features out."""
