"""MambaVL with AVION's ViT-B/16 on 16 frames of 224 px (paper B, Table 1).

As released: RoBERTa's input embeddings, frozen; one layer of scans that share A; each
head reads its own question; mixup, cutmix and label smoothing of AVION's recipe, and
its mean and standard deviation of colours. The paper says none of these; where the
release is silent too we chose AVION's dropout of 0.5 before the heads and drop path
of 0.1.
"""

from mmfusion.models import (
    BatchMix,
    ClassificationHead,
    CLIPViT,
    CrossEntropyLoss,
    MultiModalPreprocessor,
    MultiModalRecognizer,
    SharedSSMFusion,
    TextEncoder,
)

_head = dict(
    type=ClassificationHead,
    num_classes=97,
    in_dims=768,
    drop_rate=0.5,
    loss=dict(type=CrossEntropyLoss, label_smoothing=0.1),
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
        video=dict(type=CLIPViT, arch="base", num_frames=16, drop_path_rate=0.1),
        text=dict(type=TextEncoder, mode="embeddings"),
    ),
    neck=dict(
        type=SharedSSMFusion,
        embed_dims=768,
        streams=dict(video=dict(), text=dict(mlp=True, in_dims=768)),
    ),
    heads=dict(verb=_head, noun=dict(_head, num_classes=300)),
    questions="separate",
)
