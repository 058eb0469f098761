"""Skeletons and boxes as arrays on disk."""
