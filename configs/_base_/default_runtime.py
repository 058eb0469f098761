"""Parts that every run shares: checkpoints, stopping, logging, the seed.

TensorBoard and Weights & Biases by an option: ``tools/train.py --tensorboard --wandb``.
"""

from mmengine.hooks import IterTimerHook, LoggerHook, ParamSchedulerHook
from mmengine.hooks import DistSamplerSeedHook, RuntimeInfoHook
from mmengine.runner import LogProcessor
from mmengine.visualization import LocalVisBackend, Visualizer

from mmfusion.engine import (
    AtomicCheckpointHook,
    BadSampleHook,
    FusionRunner,
    GracefulStopHook,
    ParamLogHook,
    ProgressHook,
)

default_scope = "mmfusion"
runner_type = FusionRunner

default_hooks = dict(
    runtime_info=dict(type=RuntimeInfoHook),
    timer=dict(type=IterTimerHook),
    sampler_seed=dict(type=DistSamplerSeedHook),
    bad_samples=dict(type=BadSampleHook),
    params=dict(type=ParamLogHook),
    logger=dict(type=LoggerHook, interval=20, ignore_last=False),
    param_scheduler=dict(type=ParamSchedulerHook),
    checkpoint=dict(
        type=AtomicCheckpointHook,
        interval=1,
        max_keep_ckpts=2,
        save_best="action/top1",
        rule="greater",
    ),
    progress=dict(type=ProgressHook),
    stop=dict(type=GracefulStopHook),
)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
    # for CPUs; numbers under 1.2e-38 count as zero: gradients fading along a scan get
    # there, where each multiplication is many times slower and adds less than rounding
    flush_denormals=True,
    # keep the memory of freed tensors for the next ones: results are the same, and the
    # process stays at its peak until it ends
    tune_cpu_allocator=True,
)
log_processor = dict(type=LogProcessor, window_size=20, by_epoch=True)
visualizer = dict(type=Visualizer, vis_backends=[dict(type=LocalVisBackend)])
log_level = "INFO"
load_from = None
resume = False
randomness = dict(seed=0, diff_rank_seed=False, deterministic=False)
