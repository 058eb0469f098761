"""Text encoders: token ids in, token features out; and one vector for a text."""
