"""Motionformer on 16 frames of 224 px; verbs and nouns are half the loss each."""

from mmfusion.models import (
    ClassificationHead,
    CrossEntropyLoss,
    Motionformer,
    MultiModalPreprocessor,
    MultiModalRecognizer,
)

_head = dict(
    type=ClassificationHead,
    num_classes=97,
    in_dims=768,
    loss=dict(type=CrossEntropyLoss, label_smoothing=0.2, loss_weight=0.5),
)
model = dict(
    type=MultiModalRecognizer,
    data_preprocessor=dict(
        type=MultiModalPreprocessor,
        mean=(127.5, 127.5, 127.5),
        std=(127.5, 127.5, 127.5),
    ),
    encoders=dict(video=dict(type=Motionformer, drop_path_rate=0.2)),
    heads=dict(verb=_head, noun=dict(_head, num_classes=300)),
)
