"""VideoMAE-B, frozen, and V-JEPA's attentive probe, for clips of one's own.

Another model is one line: ``model.encoders.video.update(pretrained=..., hf_config=
None)``. The architecture stands here so that the model is built without any file.
"""

from mmfusion.models import (
    AttentiveProbe,
    ClassificationHead,
    HFVideoEncoder,
    MultiModalPreprocessor,
    MultiModalRecognizer,
)

model = dict(
    type=MultiModalRecognizer,
    data_preprocessor=dict(type=MultiModalPreprocessor, mean=None, std=None),
    encoders=dict(
        video=dict(
            type=HFVideoEncoder,
            pretrained="MCG-NJU/videomae-base",
            hf_config=dict(model_type="videomae", use_mean_pooling=False),
            num_frames=None,
            img_size=None,
            embed_dims=None,
        )
    ),
    neck=dict(type=AttentiveProbe, embed_dims=None),
    heads=dict(action=dict(type=ClassificationHead, num_classes=None, in_dims=None)),
)
