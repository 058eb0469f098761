"""MambaVL's fusion of video, skeletons and one question, from scratch.

The text encoder is one layer over the words of RoBERTa's tokenizer, or a smaller one.
"""

from mmengine.config import read_base

from mmfusion.models import ClassificationHead, ConvStem, CrossEntropyLoss

with read_base():
    from .mambavl_nano_skeleton import *

model.encoders.video.update(
    num_frames=16,
    init_std=None,
    summary="mean",
    stem=dict(type=ConvStem, inputs=["motion"]),
    drop_path_rate=0.1,
)
model.encoders.skeleton.update(
    arch=None,
    num_frames=32,
    num_hands=None,
    num_joints=None,
    stem="motion",
    with_motion=False,  # the stem has it
    readout="pool",
    votes=["scan", "stem", "dd_net"],
    drop_path_rate=0.1,
)
model.encoders.text.hf_config.vocab_size = 50265
model.neck.embed_dims = None
model.questions = "joint"
model.question_tasks = ("verb",)
model.heads = dict(
    action=dict(
        type=ClassificationHead,
        num_classes=None,
        in_dims=None,
        drop_rate=0.1,
        init_std=0.15,
        loss=dict(type=CrossEntropyLoss, label_smoothing=0.1),
    )
)
