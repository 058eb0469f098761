"""TinyEgo's kitchen in EPIC-KITCHENS-100's layout: 8 frames of 64 px, two questions.

    python tools/data/tinyego/generate.py --layout ek100 \\
        --num-train 1440 --out data/tinyego_ek100
    python tools/data/ek100/prepare.py --root data/tinyego_ek100

Questions are the two generic ones; a config names those of another source. Testing runs
on the validation split: the labels of the test split are hidden.
"""

from mmengine.config import read_base

from mmfusion.datasets.transforms import DecodeVideo, SampleTimes

with read_base():
    from .ek100 import *
    from .tinyego_images import *

data_root = "data/tinyego_ek100"
_train_frames = [
    dict(type=SampleTimes, num_frames=dict(video=8), mode="random"),
    dict(type=DecodeVideo),
    _crop,
    _resize,
]
_val_frames = [
    dict(type=SampleTimes, num_frames=dict(video=8), mode="uniform"),
    dict(type=DecodeVideo),
    _resize,
]
_tokenize.update(tokenizer=f"{data_root}/tokenizer", max_length=24)
train_pipeline = [*_train_frames, _tokenize, _pack]
val_pipeline = [*_val_frames, _tokenize, _pack]

_made_by = (
    "python tools/data/tinyego/generate.py --layout ek100 --num-train 1440"
    " --out {data_root} && python tools/data/ek100/prepare.py --root {data_root}"
)
train_dataloader.num_workers = 1
train_dataloader.dataset.update(
    data_root=data_root,
    made_by=_made_by,
    questions="generic",
    pipeline=train_pipeline,
)
val_dataloader.update(batch_size=32, num_workers=1)
val_dataloader.dataset.update(
    data_root=data_root, made_by=_made_by, pipeline=val_pipeline
)
test_dataloader = val_dataloader
