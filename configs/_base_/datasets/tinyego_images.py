"""TinyEgo's frames at 64 px: squashed, and to train cropped in their shape."""

_crop = dict(
    type="mmaction.RandomResizedCrop",
    area_range=(0.8, 1.0),
    aspect_ratio_range=(1.6, 2.0),  # about the frames' own, which testing squashes
)
_resize = dict(type="mmaction.Resize", scale=(64, 64), keep_ratio=False)
