"""AdamW, 50 epochs: linear warm-up, cosine, early stopping after 10 epochs.

Paper A, section 3, states the optimizer, the epochs, a linear warm-up, a cosine and the
patience of 10. It leaves open, and we chose: learning rate 2e-4 for a batch of 16, 5
epochs of warm-up from 1 % of it, cosine by iteration down to 1 %, weight decay 0.05 on
matrices only (not on A_log, D, norms, biases, embeddings and the mix's omega),
gradients clipped to norm 1, no EMA. `--auto-scale-lr` scales the rate with the batch.
"""

from mmengine.config import read_base
from torch.optim import AdamW

from mmfusion.engine import EarlyStopHook

with read_base():
    from .warm_up_cosine_100e import *

train_cfg.max_epochs = 50
optim_wrapper.optimizer = dict(
    type=AdamW, lr=2e-4, betas=(0.9, 0.999), weight_decay=0.05, fused=True
)
optim_wrapper.clip_grad = dict(max_norm=1.0)
optim_wrapper.paramwise_cfg.custom_keys = {
    ".A_log": dict(decay_mult=0.0),
    ".A_b_log": dict(decay_mult=0.0),
    ".D": dict(decay_mult=0.0),  # and D_b
    "pos_embed": dict(decay_mult=0.0),
    "temporal_pos_embedding": dict(decay_mult=0.0),
    "cls_token": dict(decay_mult=0.0),
    "modality_embed": dict(decay_mult=0.0),
    "omega": dict(decay_mult=0.0),
}
# models of one stream lack some of these, CNNs all
optim_wrapper.paramwise_cfg.may_be_absent = [
    ".A_log",
    ".A_b_log",
    ".D",
    "pos_embed",
    "temporal_pos_embedding",
    "cls_token",
    "modality_embed",
    "omega",
]
param_scheduler[0].end = 5
param_scheduler[1].update(T_max=45, begin=5, end=50)
custom_hooks = [
    dict(
        type=EarlyStopHook,
        monitor="action/top1",
        patience=10,
        min_delta=0.0,
        rule="greater",
    ),
]
auto_scale_lr.base_batch_size = 16
