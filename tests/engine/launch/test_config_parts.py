"""Every key of a config is read by something, or refused by name before building."""

import pytest

from mmfusion.engine.launch.config_check import load_config
from mmfusion.utils.errors import ConfigError
from tests.engine.toy_runs import CONFIG

NANO = CONFIG.parents[2] / "configs/demo/cls_mix_average_nano_tinyego.py"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model.drop": 1}, "model.drop: ToyModel has no argument 'drop'; nearest"),
        ({"model.type": "ToyModell"}, "model.type: no model named 'ToyModell'; near"),
        ({"custom_hooks.1.patiense": 3}, "1.patiense: EarlyStopHook has no argument"),
        ({"train_dataloader.dataset.siez": 3}, "siez: ToyDataset has no argument"),
        ({"train_dataloader.num_worker": 3}, "num_worker: DataLoader has no argument"),
        ({"train_dataloader.sampler.shufle": 1}, "shufle: SeededSampler has no"),
        ({"param_scheduler.0.strat": 3}, "0.strat: LinearLR has no argument 'strat'"),
        ({"param_scheduler.1.convert_to_iter": 1}, "nearest: convert_to_iter_based"),
        ({"optim_wrapper.optimizer.wd": 1}, "optimizer.wd: AdamW has no argument"),
        ({"optim_wrapper.acc_counts": 1}, "nearest: accumulative_counts"),
        ({"optim_wrapper.clip_grad.max": 1}, "clip_grad.max: clip_grad_norm_ has no"),
        ({"optim_wrapper.clip_grad.max_norm": -1}, "expected a number above 0"),
        (
            {"optim_wrapper.constructor": "Groups"},
            "constructor: no optimizer wrapper cons",
        ),
        ({"train_cfg.max_epoch": 3}, "max_epoch: ResumableTrainLoop has no argument"),
        ({"val_cfg.fp15": True}, "val_cfg.fp15: ValLoop has no argument"),
        ({"log_processor": dict(windowsize=3)}, "nearest: window_size"),
        ({"visualizer": dict(type="Visualizer", backends=[])}, "Visualizer has no arg"),
        ({"val_evaluator.topk": 3}, "val_evaluator.topk: ToyAccuracy has no argument"),
        ({"custom_hooks": [{"patience": 3}]}, "custom_hooks.0: it lacks 'type', got {"),
        ({"val_dataloader": dict(batch_size=3, _delete_=True)}, "lacks 'dataset'"),
        ({"env_cfg": dict(mp_cfg=dict(start=1))}, "env_cfg.mp_cfg.start: unknown"),
        ({"env_cfg": dict(dist_cfg=dict(backnd=1))}, "nearest: backend"),
        ({"env_cfg": 3}, "env_cfg: got 3, expected a dict"),
        ({"compile": dict(mod="x")}, "compile.mod: torch.compile has no argument"),
        ({"model_wrapper_cfg": dict(find_unsed=1)}, "find_unsed: MMDistributed"),
    ],
)
def test_keys_that_nothing_reads_are_refused(options, said):
    with pytest.raises(ConfigError, match="^config key ") as error:
        load_config(CONFIG, options)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"randomness.seed": "3"}, "randomness.seed: got '3', expected a whole number"),
        ({"resume": 3}, "resume: got 3, expected True or False or a string"),
        ({"custom_hooks.1.patience": "10"}, "got '10', expected a whole number"),
        ({"default_hooks.checkpoint.interval": 1.5}, "got 1.5, expected a whole"),
        ({"train_dataloader.sampler.shuffle": "no"}, "expected True or False"),
        ({"train_dataloader.num_workers": -1}, "expected no number below 0"),
        ({"train_dataloader.batch_size": "4"}, "batch_size: got '4', expected a whole"),
        ({"param_scheduler.1.T_max": -3}, "T_max: got -3, expected no number below 1"),
        ({"train_dataloader.batch_size": 0}, "batch_size: got 0, expected no number"),
        ({"optim_wrapper.optimizer.lr": "1e-3"}, "lr: got '1e-3', expected a number"),
        ({"model": "ToyModel"}, "model: got 'ToyModel', expected a dict with 'type'"),
        ({"custom_hooks.0.type": 3}, "type: got 3, expected a class or its name"),
        ({"default_hooks.checkpoint": 3}, "checkpoint: got 3, expected a dict with"),
    ],
)
def test_values_of_another_kind_are_refused(options, said):
    with pytest.raises(ConfigError) as error:
        load_config(CONFIG, options)
    assert said in str(error.value)


def test_a_default_hook_has_one_of_the_known_names():
    typo = {"default_hooks.param_sheduler": dict(type="ParamSchedulerHook")}
    with pytest.raises(ConfigError) as error:
        load_config(CONFIG, typo)
    said = "default_hooks.param_sheduler: no default hook has this name"
    assert f"{said}; nearest: param_scheduler" in str(error.value)


@pytest.mark.parametrize("name", ["ParamSchedulerHook", "IterTimerHook"])
def test_no_hook_steps_twice(name):
    with pytest.raises(ConfigError, match=f"{name} 2 times"):
        load_config(CONFIG, {"custom_hooks": [dict(type=name)]})


def test_a_preprocessor_that_is_not_read_is_refused():
    part = dict(type="MultiModalPreprocessor")
    with pytest.raises(ConfigError, match="not read, as model.data_preprocessor"):
        load_config(NANO, {"data_preprocessor": part, "model.data_preprocessor": part})


@pytest.mark.parametrize(
    "options",
    [
        {"default_hooks.logger": None, "custom_hooks.1.priority": "LOW"},
        {"default_hooks.checkpoint.max_keep_ckpts": -1},
        {"optim_wrapper.optimizer.betas": [0.9, 0.99]},
        {"param_scheduler.1.convert_to_iter_based": True},
        {"val_dataloader.num_batch_per_epoch": 2},
        {"visualizer": dict(type="Visualizer", vis_backends=[], name="x")},
        {"compile": dict(mode="default"), "find_unused_parameters": True},
        {"env_cfg": dict(dist_cfg=dict(backend="gloo", timeout=60), num_threads=1)},
        {"val_evaluator": dict(metrics=[dict(type="ToyAccuracy")], _delete_=True)},
        {"custom_hooks.0.strict_load": True, "custom_hooks.0.begin_epoch": 1},
    ],
)
def test_what_is_read_passes(options):
    load_config(CONFIG, options)
