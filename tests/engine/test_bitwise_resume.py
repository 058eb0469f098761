"""A run stopped anywhere and started again by the same command continues bitwise."""

import json
import multiprocessing

import pytest

from tests.engine.toy_runs import differences, run_toy, with_signal

STOPS = {
    "first-step": ("iter", 1),
    "mid-epoch": ("iter", 9),
    "last-step-of-epoch": ("iter", 12),
    "epoch-end": ("epoch", 2),
    "in-validation": ("val", 1),
    "after-validation": ("val_end", 2),
    "after-last-validation": ("val_end", 3),
}
VARIANTS = {
    "plain": {},
    "accumulate": {"optim_wrapper.accumulative_counts": 4},
    "bf16": {"optim_wrapper.dtype": "bfloat16"},
    "two-workers": {"train_dataloader.num_workers": 2},
    "rare-checkpoints": {"default_hooks.checkpoint.interval": 10},
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The last checkpoint of a run that nobody stopped, by variant."""
    done = {}

    def get(variant):
        if variant not in done:
            folder = tmp_path_factory.mktemp(variant)
            run_toy(folder, VARIANTS[variant])
            done[variant] = folder
        return done[variant]

    return get


@pytest.mark.parametrize("stop", STOPS)
def test_stopped_run_continues_bitwise(stop, uninterrupted, tmp_path):
    stage, at = STOPS[stop]
    stopped = with_signal(tmp_path, stage, at)
    assert stopped.train_loop.was_stopped and stopped.exit_code == 0
    assert not (tmp_path / "finished.json").exists()
    run_toy(tmp_path)
    reference = uninterrupted("plain")
    assert differences(reference / "epoch_3.pth", tmp_path / "epoch_3.pth") == []
    assert (tmp_path / "finished.json").read_text() == (
        reference / "finished.json"
    ).read_text()


# MMEngine takes accumulated steps for a wrong order of the optimizer and its scheduler
@pytest.mark.filterwarnings("ignore:Detected call of `scheduler.step:UserWarning")
@pytest.mark.parametrize("variant", ["accumulate", "bf16", "two-workers"])
def test_variants_continue_bitwise(variant, uninterrupted, tmp_path):
    with_signal(tmp_path, "iter", 8, VARIANTS[variant])
    run_toy(tmp_path, VARIANTS[variant])
    reference = uninterrupted(variant)
    assert differences(reference / "epoch_3.pth", tmp_path / "epoch_3.pth") == []


@pytest.mark.parametrize("stop", ["in-validation", "after-validation", "epoch-end"])
def test_stop_between_checkpoints_saves_the_very_state(stop, uninterrupted, tmp_path):
    """Above all the model's own weights, while those of its EMA are being validated."""
    rare = VARIANTS["rare-checkpoints"]
    with_signal(tmp_path, *STOPS[stop], rare)
    assert [path.name[:5] for path in tmp_path.glob("*_*.pth")] == ["iter_"]
    run_toy(tmp_path, rare)
    reference = uninterrupted("rare-checkpoints")
    assert differences(reference / "epoch_3.pth", tmp_path / "epoch_3.pth") == []


def test_many_stops_in_one_run(uninterrupted, tmp_path):
    for iteration in range(1, 18, 3):
        with_signal(tmp_path, "iter", iteration)
    run_toy(tmp_path)
    reference = uninterrupted("plain")
    assert differences(reference / "epoch_3.pth", tmp_path / "epoch_3.pth") == []


def test_same_seed_and_any_number_of_workers_are_the_same_run(uninterrupted, tmp_path):
    run_toy(tmp_path)
    again, workers = uninterrupted("plain"), uninterrupted("two-workers")
    assert differences(again / "epoch_3.pth", tmp_path / "epoch_3.pth") == []
    assert differences(workers / "epoch_3.pth", tmp_path / "epoch_3.pth") == []


def test_another_seed_is_another_run(uninterrupted, tmp_path):
    run_toy(tmp_path, {"randomness.seed": 4})
    reference = uninterrupted("plain")
    assert differences(reference / "epoch_3.pth", tmp_path / "epoch_3.pth")


def test_workers_may_change_between_stop_and_resume(uninterrupted, tmp_path):
    workers = dict(num_workers=2, persistent_workers=True)
    with_signal(
        tmp_path, "iter", 8, {f"train_dataloader.{k}": v for k, v in workers.items()}
    )
    assert multiprocessing.active_children() == []  # they end with the run
    run_toy(tmp_path)
    reference = uninterrupted("plain")
    assert differences(reference / "epoch_3.pth", tmp_path / "epoch_3.pth") == []


def test_batches_are_neither_repeated_nor_left_out(tmp_path):
    logs = [tmp_path / "whole.txt", tmp_path / "parts.txt"]
    for path in logs:
        path.touch()

    def options(path):
        return {"default_hooks.ids": dict(type="IdLog", path=str(path))}

    run_toy(tmp_path / "whole", options(logs[0]))
    with_signal(tmp_path / "parts", "iter", 8, options(logs[1]))
    run_toy(tmp_path / "parts", options(logs[1]))
    assert logs[0].read_text() == logs[1].read_text()
    assert len(logs[0].read_text().splitlines()) == 18


def test_mmengine_hook_and_sampler_resume_at_an_epoch(tmp_path):
    options = {
        "train_dataloader.sampler": dict(type="DefaultSampler", shuffle=True),
        "default_hooks.checkpoint": dict(
            _delete_=True, type="mmengine.CheckpointHook", interval=1
        ),
    }
    run_toy(tmp_path / "whole", options)
    run_toy(tmp_path / "parts", options)
    (tmp_path / "parts" / "epoch_3.pth").unlink()
    run_toy(tmp_path / "parts", options, resume="auto")
    files = [tmp_path / part / "epoch_3.pth" for part in ("whole", "parts")]
    kept = ("/state_dict", "/ema_state_dict", "/optimizer", "/param_schedulers")
    assert [path for path in differences(*files) if path.startswith(kept)] == []


def test_complete_run_is_left_alone_and_says_best(tmp_path):
    run_toy(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert run_toy(tmp_path) is None
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert {k: v for k, v in after.items() if k != ".lock"} == {
        k: v for k, v in before.items() if k != ".lock"
    }
    done = json.loads((tmp_path / "finished.json").read_text())
    assert done["epoch"] == 3 and done["best"]["metric"] == "action/top1"
