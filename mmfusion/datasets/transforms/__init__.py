"""Transforms: times, decoding, joints beside pictures, packing."""

from mmfusion.datasets.transforms.align_skeleton import AlignSkeleton, FlipSkeleton
from mmfusion.datasets.transforms.color_jitter import ColorJitter
from mmfusion.datasets.transforms.decode_video import DecodeVideo
from mmfusion.datasets.transforms.drop_streams import DropStreams
from mmfusion.datasets.transforms.jitter_skeleton import JitterSkeleton
from mmfusion.datasets.transforms.label_moments import LabelMoments
from mmfusion.datasets.transforms.label_observed import LabelObserved
from mmfusion.datasets.transforms.load_boxes import AlignBoxes, ArrangeBoxes, LoadBoxes
from mmfusion.datasets.transforms.load_features import LoadFeatures
from mmfusion.datasets.transforms.load_skeleton import LoadSkeleton
from mmfusion.datasets.transforms.load_tokens import LoadTokens
from mmfusion.datasets.transforms.normalize_skeleton import NormalizeSkeleton
from mmfusion.datasets.transforms.pack_inputs import PackInputs
from mmfusion.datasets.transforms.project_skeleton import ProjectSkeleton
from mmfusion.datasets.transforms.rand_augment import RandAugment
from mmfusion.datasets.transforms.repeat_augment import RepeatAugment
from mmfusion.datasets.transforms.resize_frames import ResizeFrames
from mmfusion.datasets.transforms.sample_clock import SampleClock
from mmfusion.datasets.transforms.sample_observed_frames import (
    SampleClipsBefore,
    SampleObservedFrames,
)
from mmfusion.datasets.transforms.sample_rates import SampleRates
from mmfusion.datasets.transforms.sample_segments import SampleSegments, SampleWindow
from mmfusion.datasets.transforms.sample_times import SampleTimes
from mmfusion.datasets.transforms.tokenize_questions import TokenizeQuestions

__all__ = [
    "AlignBoxes",
    "ArrangeBoxes",
    "AlignSkeleton",
    "ColorJitter",
    "DecodeVideo",
    "DropStreams",
    "FlipSkeleton",
    "JitterSkeleton",
    "LabelMoments",
    "LabelObserved",
    "LoadBoxes",
    "LoadFeatures",
    "LoadSkeleton",
    "LoadTokens",
    "NormalizeSkeleton",
    "PackInputs",
    "ProjectSkeleton",
    "RandAugment",
    "RepeatAugment",
    "ResizeFrames",
    "SampleClipsBefore",
    "SampleClock",
    "SampleObservedFrames",
    "SampleRates",
    "SampleSegments",
    "SampleTimes",
    "SampleWindow",
    "TokenizeQuestions",
]
