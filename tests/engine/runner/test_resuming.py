"""A run that goes on under an edited config: the edit counts, or is refused by name."""

import json
import re

import pytest
import torch

from mmfusion.utils.errors import ConfigError
from mmfusion.weights.files import load_checked
from tests.engine.toy import ToyDataset
from tests.engine.toy_runs import differences, run_toy, with_signal

# the schedule of configs/_base_: given in epochs, built in iterations
SCHEDULE = {
    "param_scheduler": [
        dict(type="LinearLR", start_factor=0.1, end=1, convert_to_iter_based=True),
        dict(
            type="CosineAnnealingLR",
            T_max=2,
            begin=1,
            end=3,
            eta_min_ratio=0.01,
            convert_to_iter_based=True,
        ),
    ]
}
SCHEDULE["param_scheduler"][0]["by_epoch"] = True
ROWS = {"train_dataloader.dataset.size": 24}  # 6 batches of 4, 12 of 2


def rates(folder, name="epoch_3.pth"):
    """Learning rate of each iteration of the run that is kept in ``folder``."""
    scalars = load_checked(folder / name)["message_hub"]["scalars"]
    return scalars["train/lr"]["values"]


def group(folder):
    """The numbers of the optimizer's first group at the end of a run."""
    return load_checked(folder / "epoch_3.pth")["optimizer"]["param_groups"][0]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Folder of a run under ``SCHEDULE``, with checkpoints of its steps 6 and 8."""
    folder = tmp_path_factory.mktemp("stopped")
    keep = {"default_hooks.checkpoint.max_keep_ckpts": -1}
    with_signal(folder, "iter", 8, {**SCHEDULE, **ROWS, **keep})
    return folder


def go_on(stopped, folder, options, at="iter_8.pth"):
    """Continue in another folder, under edited options."""
    return run_toy(folder, {**SCHEDULE, **ROWS, **options}, resume=str(stopped / at))


def test_an_edited_optimizer_counts(stopped, tmp_path):
    edits = dict(lr=0.01, weight_decay=0.3, betas=(0.5, 0.9), eps=1e-3)
    options = {f"optim_wrapper.optimizer.{key}": edits[key] for key in edits}
    go_on(stopped, tmp_path / "on", options)
    run_toy(tmp_path / "new", {**SCHEDULE, **ROWS, **options})
    # from its step on it has the numbers of a run that had them from the start
    on, new = rates(tmp_path / "on"), rates(tmp_path / "new")
    assert torch.equal(on[8:], new[8:]) and len(on) == 18
    last = group(tmp_path / "on")
    assert last == group(tmp_path / "new")
    edits["initial_lr"] = edits.pop("lr")
    assert {key: last[key] for key in edits} == edits


def test_an_edited_schedule_counts(stopped, tmp_path):
    options = {
        "param_scheduler": [dict(type="MultiStepLR", milestones=[1, 2], gamma=0.5)]
    }
    run_toy(
        tmp_path, {**SCHEDULE, **ROWS, **options}, resume=str(stopped / "iter_8.pth")
    )
    assert rates(tmp_path)[8:].tolist() == [0.01] * 4 + [0.005] * 6


def test_more_epochs_are_the_run_that_had_them_from_the_start(stopped, tmp_path):
    """A cosine without T_max ends with the run, wherever that is."""
    cosine = {"param_scheduler": [dict(type="CosineAnnealingLR")]}
    two = {**cosine, "train_cfg.max_epochs": 2}
    run_toy(tmp_path / "two", two)
    run_toy(tmp_path / "three", cosine)
    run_toy(tmp_path / "on", cosine, resume=str(tmp_path / "two" / "epoch_2.pth"))
    on, new = rates(tmp_path / "on"), rates(tmp_path / "three")
    assert torch.equal(on[12:], new[12:]) and not torch.equal(on[:12], new[:12])


def test_a_schedule_that_follows_validations_may_only_end_later(tmp_path):
    """Its rates cannot be computed again for another start."""
    plateau = dict(type="ReduceOnPlateauLR", monitor="action/top1", patience=0)
    plateau.update(rule="less", threshold=100.0, factor=0.5)
    options = {"param_scheduler": [plateau], "train_cfg.max_epochs": 2}
    run_toy(tmp_path, options)
    path = str(tmp_path / "epoch_2.pth")
    options["train_cfg.max_epochs"] = 4
    lr = {**options, "optim_wrapper.optimizer.lr": 0.5}
    with pytest.raises(ConfigError, match=r"optimizer.lr.*follows what validations"):
        run_toy(tmp_path / "lr", lr, resume=path)
    run_toy(tmp_path / "on", options, resume=path)
    found = rates(tmp_path / "on", "epoch_4.pth")[::6]
    assert found.tolist() == [0.02, 0.01, 0.01, 0.005]  # after 2 it had ended


def test_a_schedule_that_was_not_saved_is_not_begun_anew(tmp_path):
    hook = dict(_delete_=True, type="mmengine.CheckpointHook", interval=1)
    hook["save_param_scheduler"] = False
    options = {**SCHEDULE, **ROWS, "default_hooks.checkpoint": hook}
    run_toy(tmp_path / "new", options)
    path = str(tmp_path / "new" / "epoch_1.pth")
    run_toy(tmp_path / "on", options, resume=path)
    assert torch.equal(rates(tmp_path / "on")[6:], rates(tmp_path / "new")[6:])


def test_another_grouping_keeps_the_state_of_each_parameter(stopped, tmp_path):
    keys = {"heads.": dict(lr_mult=0.0), "body.": dict(lr_mult=2.0, decay_mult=0.0)}
    options = {
        "optim_wrapper.paramwise_cfg": dict(custom_keys=keys),
        "train_cfg.max_epochs": 3,
    }
    go_on(stopped, tmp_path, options)
    end, start = (
        load_checked(path)
        for path in (tmp_path / "epoch_3.pth", stopped / "iter_8.pth")
    )
    names = [n for part in end["optimizer_parts"]["names"] for n in part]
    state = dict(zip(names, end["optimizer"]["state"].values(), strict=True))
    assert {int(one["step"]) for one in state.values()} == {18}
    assert state["body.weight"]["exp_avg"].shape == (8, 6)
    assert len(end["optimizer"]["param_groups"]) == 3
    for name in ("weight", "bias"):  # the EMA's copy moves on; the weights stay
        key = f"module.heads.action.{name}"
        assert torch.equal(end["ema_state_dict"][key], start["ema_state_dict"][key])


REFUSED = {
    "seed": ({"randomness.seed": 4}, r"randomness.seed: was 3, is 4"),
    "weights": ({"load_from": "a.pth"}, "load_from: was 'not set', is 'a.pth'"),
    "type": (
        {"optim_wrapper.optimizer": dict(_delete_=True, type="SGD", lr=0.02)},
        "optim_wrapper.*the state of AdamW is not one of SGD",
    ),
    "flag": (
        {"optim_wrapper.optimizer.amsgrad": True},
        "optim_wrapper.optimizer.amsgr",
    ),
    "ema": ({"custom_hooks": []}, "custom_hooks: EMAHook is gone"),
    "data": (
        {"train_dataloader.dataset.size": 20},
        "train_dataloader.dataset.size: was 24, is 20: the order of samples",
    ),
    "order": ({"train_dataloader.sampler.shuffle": False}, "sampler.shuffle: was True"),
    "fewer epochs": ({"train_cfg.max_epochs": 1}, "train_cfg.max_epochs = 1 and all"),
    "group": ({"optim_wrapper.accumulative_counts": 3}, "accumulative_counts = 3"),
    "batch": ({"train_dataloader.batch_size": 3}, "2 steps of 4.* in steps of 3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_count_is_refused_by_its_key(name, stopped, tmp_path):
    options, said = REFUSED[name]
    with pytest.raises(ConfigError, match=said):
        go_on(stopped, tmp_path, options)
    # nothing is recorded of what did not run
    assert not [path for path in tmp_path.iterdir() if path.suffix and path.is_file()]


@pytest.mark.parametrize("at", ["iter_8.pth", "epoch_1.pth"])
def test_another_length_of_the_epoch_is_rescaled_by_samples(at, stopped, tmp_path):
    """Batches of 2 after batches of 4: the rates of a run that had them always."""
    half = {"train_dataloader.batch_size": 2, "default_hooks.ids": dict(type="IdLog")}
    half["default_hooks.ids"]["path"] = str(tmp_path / "ids")
    runner = go_on(stopped, tmp_path / "on", half, at)
    run_toy(tmp_path / "new", {**SCHEDULE, **ROWS, **half})
    done = 16 if at == "iter_8.pth" else 12
    assert runner.iter == runner.max_iters == 36
    on, new = rates(tmp_path / "on"), rates(tmp_path / "new")
    assert torch.equal(on[-(36 - done) :], new[done:])
    lines = (tmp_path / "ids").read_text().splitlines()
    assert lines[: 36 - done] == lines[-(36 - done) :]  # neither repeated nor left out


def test_more_samples_are_followed_from_the_end_of_an_epoch(stopped, tmp_path):
    more = {"train_dataloader.dataset.size": 32}
    runner = go_on(stopped, tmp_path / "on", more, at="epoch_1.pth")
    assert runner.iter == runner.max_iters == 24  # 8 an epoch
    run_toy(tmp_path / "new", {**SCHEDULE, **more})
    assert torch.equal(rates(tmp_path / "on")[-16:], rates(tmp_path / "new")[8:])


def test_another_annotation_of_equal_size_is_seen(
    stopped, tmp_path, monkeypatch, log_lines
):
    monkeypatch.setattr(ToyDataset, "digest", lambda self: "another")
    said = (
        "dataset: its annotation has another content, sha256 another, than .* the toy"
    )
    with pytest.raises(ConfigError, match=f"within an epoch: .*{said}; samples would"):
        go_on(stopped, tmp_path / "within", {})
    assert go_on(stopped, tmp_path / "on", {}, at="epoch_1.pth").epoch == 3
    log = next((tmp_path / "on").rglob("*.log")).read_text()
    assert re.search(f"WARNING.*{said}: the run goes on", log)


def test_an_early_stop_is_decided_anew_by_another_patience(tmp_path):
    early = {"custom_hooks.1.patience": 1}
    run_toy(tmp_path, early)
    edited = {"custom_hooks.1.patience": 2}
    with pytest.raises(ConfigError, match="stopped early: nothing would run"):
        run_toy(tmp_path, {**early, "model.drop_rate": 0.1}, resume="auto")
    assert (tmp_path / "finished.json").exists()
    assert run_toy(tmp_path, edited, resume="auto").epoch == 3


def test_best_and_early_stop_of_another_metric_begin_anew(stopped, tmp_path):
    other = {
        "val_evaluator": dict(type="ToyAccuracy", prefix="x"),
        "default_hooks.checkpoint.save_best": "x/action/top1",
        "custom_hooks.1.monitor": "x/action/top1",
    }
    go_on(stopped, tmp_path, other)
    done = json.loads((tmp_path / "finished.json").read_text())
    assert done["best"]["metric"] == "x/action/top1" and done["best"]["epoch"] > 1


def test_without_validation_a_pending_one_is_left_out(tmp_path):
    with_signal(tmp_path, "val", 1)
    none = {"val_cfg": None, "val_dataloader": None, "val_evaluator": None}
    assert run_toy(tmp_path, none, resume="auto").epoch == 3


def test_an_unedited_resume_equals_the_whole_run(stopped, tmp_path):
    go_on(stopped, tmp_path / "on", {})
    run_toy(tmp_path / "new", {**SCHEDULE, **ROWS})
    files = [tmp_path / name / "epoch_3.pth" for name in ("on", "new")]
    assert differences(*files) == []
