"""A small Transformer over RULSTM's three features, for EPIC-KITCHENS-100."""

from mmfusion.models import (
    ClassificationHead,
    FeatureEncoder,
    MultiModalRecognizer,
    TransformerFusion,
)

model = dict(
    type=MultiModalRecognizer,
    encoders=dict(
        rgb=dict(type=FeatureEncoder, in_dims=1024, embed_dims=512),
        flow=dict(type=FeatureEncoder, in_dims=1024, embed_dims=512),
        obj=dict(type=FeatureEncoder, in_dims=352, embed_dims=512),
    ),
    neck=dict(
        type=TransformerFusion,
        embed_dims=512,
        depth=2,
        num_heads=8,
        inputs="tokens",
        streams=dict(rgb=dict(), flow=dict(), obj=dict()),
    ),
    heads=dict(
        verb=dict(type=ClassificationHead, num_classes=97, in_dims=512),
        noun=dict(type=ClassificationHead, num_classes=300, in_dims=512),
    ),
)
