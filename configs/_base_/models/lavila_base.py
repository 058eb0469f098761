"""LaViLa's TSF-B/16 with heads for verbs, nouns and actions of EPIC-KITCHENS-100."""

from mmengine.config import read_base

from mmfusion.models import ClassificationHead, CLIPTimeSformer, CrossEntropyLoss

with read_base():
    from .avion_base import *

_head = dict(
    type=ClassificationHead,
    num_classes=97,
    in_dims=768,
    drop_rate=0.5,
    loss=dict(type=CrossEntropyLoss, label_smoothing=0.1),
)
model.data_preprocessor.batch_mix = None
model.encoders.video = dict(
    type=CLIPTimeSformer, arch="base", num_frames=16, drop_path_rate=0.1
)
model.heads.verb = _head
model.heads.noun = dict(_head, num_classes=300)
