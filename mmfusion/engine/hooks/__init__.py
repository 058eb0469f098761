"""Hooks: checkpoints, stopping, logging, predictions."""
