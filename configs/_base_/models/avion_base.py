"""AVION's ViT-B/16 with 3,806 actions on 16 frames of 224 px, for EPIC-KITCHENS-100.

Verbs and nouns are sums over their actions, taken by EpicKitchensMetric. The first mean
is a transposition in the authors' code that their weights were trained with.
"""

from mmfusion.models import (
    BatchMix,
    ClassificationHead,
    CLIPViT,
    CrossEntropyLoss,
    MultiModalPreprocessor,
    MultiModalRecognizer,
)

model = dict(
    type=MultiModalRecognizer,
    data_preprocessor=dict(
        type=MultiModalPreprocessor,
        mean=(108.3272985, 116.7460125, 104.09373615),
        std=(68.5005327, 66.6321579, 70.32316305),
        batch_mix=dict(type=BatchMix),
    ),
    encoders=dict(
        video=dict(type=CLIPViT, arch="base", num_frames=16, drop_path_rate=0.1)
    ),
    heads=dict(
        action=dict(
            type=ClassificationHead,
            num_classes=3806,
            in_dims=768,
            drop_rate=0.5,
            loss=dict(type=CrossEntropyLoss, label_smoothing=0.1),
        )
    ),
)
