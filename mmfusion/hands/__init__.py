"""Hands from video: MediaPipe's models behind one small interface."""

from mmfusion.hands.extract_hands import ExtractHands
from mmfusion.hands.extraction import extract_video
from mmfusion.hands.mediapipe_hands import MediaPipeHands
from mmfusion.hands.model_files import HandModelError
from mmfusion.hands.tracks import (
    ONE_HAND_SKELETON,
    SKELETON,
    HandExtractor,
    HandTracks,
)

__all__ = [
    "ONE_HAND_SKELETON",
    "SKELETON",
    "ExtractHands",
    "HandExtractor",
    "HandModelError",
    "HandTracks",
    "MediaPipeHands",
    "extract_video",
]
