"""The runner and its training loop."""
