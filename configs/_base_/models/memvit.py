"""MeMViT-16 on 5 clips of 16 frames of 224 px; a head of verbs, one of nouns."""

from mmfusion.models import (
    ClassificationHead,
    MeMViT,
    MultiModalPreprocessor,
    MultiModalRecognizer,
)

_head = dict(type=ClassificationHead, num_classes=97, in_dims=768, drop_rate=0.5)
model = dict(
    type=MultiModalRecognizer,
    data_preprocessor=dict(
        type=MultiModalPreprocessor, mean=(114.75,) * 3, std=(57.375,) * 3
    ),
    encoders=dict(video=dict(type=MeMViT, arch="16", num_clips=5, drop_path_rate=0.4)),
    heads=dict(verb=_head, noun=dict(_head, num_classes=300)),
)
