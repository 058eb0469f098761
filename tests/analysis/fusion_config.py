"""Config of a small model of video and text, on a schedule of our own."""

from pathlib import Path

CONFIGS = Path(__file__).parents[2] / "configs"
CONFIG = """
from mmengine.config import read_base
from mmengine.model import BaseModel

from mmfusion.models import MultiModalRecognizer, SharedSSMFusion, TextEncoder
from mmfusion.models import ClassificationHead, VideoMamba

with read_base():
    from {base} import *

model = dict(
    type=MultiModalRecognizer,
    encoders=dict(
        video=dict(type=VideoMamba, arch="nano", num_frames=2, img_size=32),
        text=dict(
            type=TextEncoder,
            pretrained=None,
            hf_config=dict(
                model_type="roberta",
                vocab_size=20,
                hidden_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=16,
            ),
            mode="embeddings",
        ),
    ),
    neck=dict(
        type=SharedSSMFusion,
        embed_dims=64,
        streams=dict(video=dict(), text=dict(in_dims=16, mlp=True)),
    ),
    heads=dict(verb=dict(type=ClassificationHead, num_classes=3, in_dims=64)),
)
"""


def write_config(folder, schedule):
    """Path of the config with a schedule of ``_base_``, in an empty folder."""
    (folder / "_base_").symlink_to(CONFIGS / "_base_")
    path = folder / "fusion.py"
    path.write_text(CONFIG.format(base=f"._base_.schedules.{schedule}"))
    return path
