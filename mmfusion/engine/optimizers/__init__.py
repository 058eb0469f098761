"""The optimizer wrapper and its constructor."""
