"""AVT-b on 10 frames of 224 px: ViT-B/16 frame by frame, a causal decoder, its losses.

Verbs and nouns are sums over their actions, taken by EpicKitchensMetric.
"""

from mmfusion.models import (
    ClassificationHead,
    FeatureRegression,
    FrameViT,
    FuturePredictor,
    MultiModalPreprocessor,
    MultiModalRecognizer,
    PastClassification,
)

model = dict(
    type=MultiModalRecognizer,
    data_preprocessor=dict(
        type=MultiModalPreprocessor, mean=(127.5,) * 3, std=(127.5,) * 3
    ),
    encoders=dict(video=dict(type=FrameViT, arch="base", num_frames=10)),
    neck=dict(type=FuturePredictor, in_dims=768),
    heads=dict(
        action=dict(
            type=ClassificationHead,
            num_classes=3806,
            in_dims=768,
            drop_rate=0.2,
            init_std=0.01,
        )
    ),
    auxiliary=dict(
        observed=dict(type=FeatureRegression), past=dict(type=PastClassification)
    ),
)
