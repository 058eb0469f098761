"""Broken clips are counted once each, over workers and ranks, up to the budget."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch.utils.data import DataLoader

from mmfusion.datasets import MultiModalDataset, SeededSampler, fusion_collate
from mmfusion.datasets.error_policy import BadSample
from mmfusion.engine.hooks import bad_sample_hook as module
from mmfusion.engine.hooks.bad_sample_hook import (
    BadSampleHook,
    TooManyBadSamplesError,
)
from mmfusion.structures import ActionDataSample
from tests.datasets.clips import write_clips
from tests.engine.toy_runs import differences, run_toy, with_signal


@pytest.fixture
def runner(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Any:
    logger = logging.getLogger("bad samples")
    logger.propagate = True
    caplog.set_level(logging.INFO)
    return SimpleNamespace(logger=logger, work_dir=str(tmp_path / "work"))


def _batch(*names: str, limit: int = 2) -> dict:
    bad = tuple(BadSample(n, "SkeletonError", f"{n}.npz damaged", limit) for n in names)
    sample = ActionDataSample(metainfo={"sample_id": "good", "bad_samples": bad})
    return {"inputs": {}, "data_samples": [sample]}


def test_each_clip_counts_once_and_is_logged(
    runner: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hook = BadSampleHook()
    hook.before_train_iter(runner, 0, _batch("a"))
    hook.before_train_iter(runner, 1, _batch("a", "b"))
    hook.before_train_iter(runner, 2, _batch())
    hook.before_val_iter(runner, 0, _batch("c", "d"))
    hook.after_train_epoch(runner)
    assert [text for text in caplog.messages if "'a'" in text] == [
        "broken clip 'a' in train, passed over (1 so far, 2 allowed): a.npz damaged"
    ]
    assert "broken clips in train so far: 2, {'SkeletonError': 2}" in caplog.messages
    report = json.loads((Path(runner.work_dir) / "bad_samples.json").read_text())
    assert [row[0] for row in report["train"]] == ["a", "b"]
    assert [row[0] for row in report["val"]] == ["c", "d"]


def test_above_the_budget_it_stops_and_names_files(runner: Any) -> None:
    hook = BadSampleHook(num_named=2)
    hook.before_test_iter(runner, 0, _batch("a", "b"))
    with pytest.raises(TooManyBadSamplesError, match=r"3 clips of the test.*allows 2"):
        hook.before_test_iter(runner, 1, _batch("c"))
    with pytest.raises(TooManyBadSamplesError) as error:
        BadSampleHook(num_named=2).before_train_iter(
            runner, 0, _batch("a", "b", "c", "d", limit=0)
        )
    assert "a.npz" in str(error.value)


def test_counts_survive_a_resume(runner: Any) -> None:
    hook, again = BadSampleHook(), BadSampleHook()
    hook.before_train_iter(runner, 0, _batch("a", "b"))
    state = json.loads(json.dumps(hook.state_dict()))
    again.load_state_dict(state)
    assert again.found == hook.found
    with pytest.raises(TooManyBadSamplesError):
        again.before_train_iter(runner, 0, _batch("c"))


def test_ranks_put_their_counts_together(
    runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = [BadSampleHook(), BadSampleHook()]
    hooks[0].before_train_iter(runner, 0, _batch("a", "ü"))
    hooks[1].before_train_iter(runner, 0, _batch("a", "b"))
    found = [json.loads(json.dumps(module._to_plain(h.found["train"]))) for h in hooks]
    monkeypatch.setattr(module, "gather_json", lambda value: found)
    for hook in hooks:
        with pytest.raises(TooManyBadSamplesError, match="3 clips"):
            hook.after_train_epoch(runner)
        assert list(hook.found["train"]) == ["a", "ü", "b"]


@pytest.mark.parametrize("policy", ["skip", "replace"])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_counts_through_worker_processes(
    tmp_path: Path, runner: Any, policy: str, num_workers: int
) -> None:
    dataset = MultiModalDataset(
        write_clips(tmp_path, 20),
        [{"type": "DrawNumbers", "broken": ("clip3", "clip7", "clip11")}],
        on_error={"policy": policy, "max_bad": 0.15},
    )
    sampler = SeededSampler(dataset, seed=0)
    loader = DataLoader(
        dataset, 5, sampler=sampler, num_workers=num_workers, collate_fn=fusion_collate
    )
    hook = BadSampleHook()
    for epoch in range(2):
        sampler.set_epoch(epoch)
        for index, batch in enumerate(loader):
            hook.before_train_iter(runner, index, batch)
        hook.after_train_epoch(runner)
    assert sorted(hook.found["train"]) == ["clip11", "clip3", "clip7"]
    assert {bad.limit for bad in hook.found["train"].values()} == {3}


def _options(tmp_path: Path, policy: str, max_bad: float = 0.2) -> dict:
    return {
        "train_dataloader.dataset": {
            "_delete_": True,
            "type": "MultiModalDataset",
            "ann_file": write_clips(tmp_path, 22),
            "split": "train",
            "pipeline": [{"type": "DrawNumbers", "broken": ("clip3", "clip7")}],
            "on_error": {"policy": policy, "max_bad": max_bad},
            "num_classes": {"action": 3},
        },
        "default_hooks.bad_samples": {"type": "BadSampleHook"},
        "custom_imports.imports": ["tests.engine.toy", "tests.datasets.clips"],
        "model.with_bn": False,  # it cannot take the batch of one that may be left
        "train_cfg.max_epochs": 2,
    }


@pytest.mark.parametrize("policy", ["skip", "replace"])
def test_run_with_broken_clips_resumes_bitwise(tmp_path: Path, policy: str) -> None:
    options = _options(tmp_path, policy)
    run_toy(tmp_path / "whole", options)
    with_signal(tmp_path / "cut", "iter", 4, options)
    run_toy(tmp_path / "cut", options)
    name = "epoch_2.pth"
    assert not differences(tmp_path / "whole" / name, tmp_path / "cut" / name)
    report = json.loads((tmp_path / "cut/bad_samples.json").read_text())
    assert sorted(row[0] for row in report["train"]) == ["clip3", "clip7"]


def test_run_above_the_budget_stops(tmp_path: Path) -> None:
    with pytest.raises(TooManyBadSamplesError, match=r"allows 1(.|\n)*damaged"):
        run_toy(tmp_path / "run", _options(tmp_path, "replace", max_bad=0.05))
