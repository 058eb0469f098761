"""Datasets, the order of their samples, and the batches made of them."""

from mmfusion.datasets import transforms
from mmfusion.datasets.collate import fusion_collate
from mmfusion.datasets.epic_kitchens import EpicKitchensDataset
from mmfusion.datasets.h2o import H2ODataset
from mmfusion.datasets.multimodal_dataset import MultiModalDataset
from mmfusion.datasets.oakink2 import OakInk2Dataset
from mmfusion.datasets.sampler import SampleKey, SeededSampler
from mmfusion.datasets.video_list import VideoListDataset

__all__ = [
    "EpicKitchensDataset",
    "H2ODataset",
    "MultiModalDataset",
    "OakInk2Dataset",
    "SampleKey",
    "SeededSampler",
    "VideoListDataset",
    "fusion_collate",
    "transforms",
]
