"""Files of landmarks, whoever made them, as one kind of arrays."""

from mmfusion.layouts.landmarks.bones import read_bones
from mmfusion.layouts.landmarks.kinds import NOTHING_SAID, LandmarkOptions, Landmarks
from mmfusion.layouts.landmarks.read import (
    LANDMARK_SUFFIXES,
    find_landmarks,
    read_landmarks,
)

__all__ = [
    "LANDMARK_SUFFIXES",
    "NOTHING_SAID",
    "LandmarkOptions",
    "Landmarks",
    "find_landmarks",
    "read_bones",
    "read_landmarks",
]
