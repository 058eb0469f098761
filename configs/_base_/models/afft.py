"""AFFT on RULSTM's features: SA-Fuser, GPT-2's decoder, its losses.

Verbs and nouns are sums over their actions, taken by EpicKitchensMetric. Smoothing is
the release's, of the future's label and of the observed ones.
"""

from mmfusion.models import (
    ClassificationHead,
    CrossEntropyLoss,
    FeatureEncoder,
    FeatureRegression,
    FuturePredictor,
    MultiModalRecognizer,
    PastClassification,
    SAFuser,
)

_widths = dict(rgb=1024, obj=352, flow=1024)
model = dict(
    type=MultiModalRecognizer,
    encoders=dict(
        rgb=dict(type=FeatureEncoder, in_dims=1024),
        obj=dict(type=FeatureEncoder, in_dims=352),
        flow=dict(type=FeatureEncoder, in_dims=1024),
    ),
    neck=dict(
        type=FuturePredictor,
        in_dims=1024,
        fuser=dict(type=SAFuser, streams=_widths, embed_dims=1024),
    ),
    heads=dict(
        action=dict(
            type=ClassificationHead,
            num_classes=3806,
            in_dims=1024,
            drop_rate=0.2,
            loss=dict(type=CrossEntropyLoss, label_smoothing=0.4),
        )
    ),
    auxiliary=dict(
        observed=dict(type=FeatureRegression),
        past=dict(type=PastClassification, label_smoothing=0.4, mean_over="labelled"),
    ),
)
