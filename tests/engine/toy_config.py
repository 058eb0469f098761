"""A run of three epochs of six steps over the toy parts."""

custom_imports = dict(imports=["tests.engine.toy"], allow_failed_imports=False)
default_scope = "mmfusion"
runner_type = "mmfusion.FusionRunner"
_collate = dict(type="mmfusion.fusion_collate")

model = dict(type="ToyModel")
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(type="ToyDataset"),
    sampler=dict(type="SeededSampler", shuffle=True),
    collate_fn=_collate,
)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(type="ToyDataset", size=11),
    sampler=dict(type="SeededSampler", shuffle=False),
    collate_fn=_collate,
)
test_dataloader = val_dataloader
train_cfg = dict(type="ResumableTrainLoop", max_epochs=3, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
val_evaluator = dict(type="ToyAccuracy")
test_evaluator = val_evaluator
optim_wrapper = dict(
    type="FusionOptimWrapper",
    constructor="GroupedOptimWrapperConstructor",
    optimizer=dict(type="AdamW", lr=0.02, weight_decay=0.05),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, begin=0, end=4, by_epoch=False),
    dict(type="CosineAnnealingLR", T_max=3, by_epoch=True),
]
default_hooks = dict(
    params=dict(type="ParamLogHook"),
    checkpoint=dict(
        type="AtomicCheckpointHook", save_best="action/top1", max_keep_ckpts=2
    ),
    stop=dict(type="GracefulStopHook"),
)
custom_hooks = [
    dict(type="EMAHook", momentum=0.1),
    dict(type="EarlyStopHook", monitor="action/top1", patience=10, min_delta=100.0),
]
log_level = "WARNING"
randomness = dict(seed=3)
