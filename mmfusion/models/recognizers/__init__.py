"""The recognizer and its preprocessor."""

from mmfusion.models.recognizers.multimodal_preprocessor import MultiModalPreprocessor
from mmfusion.models.recognizers.multimodal_recognizer import MultiModalRecognizer

__all__ = ["MultiModalPreprocessor", "MultiModalRecognizer"]
