"""VideoMAE-B with LoRA on its attention, and the probe, on clips of one's own.

    python tools/train.py configs/pretrained/videomae_base_lora_custom.py

No paper has this data set. Ours: not yet run. Time and machine: not yet run.
"""

from mmengine.config import read_base

from mmfusion.models import LoRA

with read_base():
    from .videomae_base_probe_custom import *

model.encoders.video.update(mode="tuned", tuning=dict(type=LoRA, rank=8, alpha=16.0))
