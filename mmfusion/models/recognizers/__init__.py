"""The recognizer and its data preprocessor."""
