"""Datasets, the order of their samples, and the batches made of them."""

from mmfusion.datasets import transforms
from mmfusion.datasets.collate import fusion_collate
from mmfusion.datasets.multimodal_dataset import MultiModalDataset
from mmfusion.datasets.sampler import SampleKey, SeededSampler

__all__ = [
    "MultiModalDataset",
    "SampleKey",
    "SeededSampler",
    "fusion_collate",
    "transforms",
]
