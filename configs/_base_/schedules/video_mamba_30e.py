"""VideoMamba's fine-tuning: AdamW, 5 epochs of warm-up, a cosine, bf16.

Rates are those of the authors' batch: base 4e-4 x (512 clips x 2 repeats) / 256, with
warm-up from and cosine to base 1e-6. `--auto-scale-lr` scales them for another number
of clips a step. Weight decay as in their code: on all but norms, biases, D and the
tables of positions and CLS token; A_log has it.

layer_decay's form `published` is what their code does: the stem at .75 ** (blocks + 1),
all else at 1. `intended` is layer decay as it is meant.
"""

from mmengine.config import read_base
from torch.optim import AdamW

with read_base():
    from .warm_up_cosine_100e import *

train_cfg.max_epochs = 30
optim_wrapper.dtype = "bfloat16"
optim_wrapper.optimizer = dict(
    type=AdamW, lr=1.6e-3, betas=(0.9, 0.999), weight_decay=0.05, fused=True
)
optim_wrapper.paramwise_cfg.custom_keys = {
    ".D": dict(decay_mult=0.0),  # and D_b
    "pos_embed": dict(decay_mult=0.0),
    "temporal_pos_embedding": dict(decay_mult=0.0),
    "cls_token": dict(decay_mult=0.0),
}
optim_wrapper.paramwise_cfg.layer_decay = dict(rate=0.75, form="published")
param_scheduler[0].update(start_factor=1 / 400, end=5)
param_scheduler[1].update(eta_min_ratio=1 / 400, T_max=25, begin=5, end=30)
auto_scale_lr.base_batch_size = 512
