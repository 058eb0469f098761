"""The recognizer and its data preprocessor."""

from mmfusion.models.recognizers.batch_mix import BatchMix
from mmfusion.models.recognizers.multimodal_preprocessor import MultiModalPreprocessor
from mmfusion.models.recognizers.multimodal_recognizer import MultiModalRecognizer

__all__ = ["BatchMix", "MultiModalPreprocessor", "MultiModalRecognizer"]
