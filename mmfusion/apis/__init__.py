"""Trained models by where they lie, and the labels that they give to new videos."""

from mmfusion.apis.inferencer import Inferencer
from mmfusion.apis.loading import LoadedModel, load_model
from mmfusion.apis.overlays import write_overlay
from mmfusion.apis.predictions import VideoPrediction
from mmfusion.apis.streaming import Reading, StreamingRecognizer

__all__ = [
    "Inferencer",
    "LoadedModel",
    "Reading",
    "StreamingRecognizer",
    "VideoPrediction",
    "load_model",
    "write_overlay",
]
