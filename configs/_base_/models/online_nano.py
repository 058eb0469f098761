"""Causal video encoder, nano, whose heads score every frame; the kitchen's classes.

Beside 6 verbs and 12 nouns each head has background, the last class.
"""

from mmfusion.models import (
    CausalVideoMamba,
    ClassificationHead,
    EveryMoment,
    MultiModalRecognizer,
)

model = dict(
    type=MultiModalRecognizer,
    encoders=dict(
        video=dict(type=CausalVideoMamba, arch="nano", img_size=64, memory=2)
    ),
    neck=dict(type=EveryMoment, stream="video"),
    heads=dict(
        verb=dict(type=ClassificationHead, num_classes=7, in_dims=64, init_std=0.15),
        noun=dict(type=ClassificationHead, num_classes=13, in_dims=64, init_std=0.15),
    ),
)
