"""Loaders read in a process that hangs, crashes and is killed without the run."""

import ctypes
import faulthandler
import os
import pickle
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from mmfusion.datasets import MultiModalDataset, SeededSampler, clip_process
from mmfusion.datasets.clip_process import ClipProcess
from mmfusion.datasets.error_policy import bad_samples_of
from mmfusion.engine.runner.dataloader import build_dataloader
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import ClipLostError, LostProcessError, VideoDecodeError
from tests.datasets.clips import write_clips


@TRANSFORMS.register_module()
class Misbehave:
    """Hangs in C code that holds the interpreter, crashes, or kills its process.

    Args:
        name: of the sample. how: ``hang``, ``crash``, ``kill``; ``worker`` kills the
            worker in place of the process that reads for it.
    """

    def __init__(self, name: str, how: str) -> None:
        self.name, self.how = name, how

    def __call__(self, results: dict) -> dict:
        if results["sample_id"] == self.name:
            faulthandler.disable()
            if self.how == "hang":
                ctypes.PyDLL(None).pause()
            elif self.how == "crash":
                ctypes.string_at(0)
            elif self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            elif self.how == "worker":
                os.kill(os.getppid(), signal.SIGKILL)
        return results


def dataset_with(
    folder: Path, how: str, policy: str, limit: float | None = 0.3
) -> MultiModalDataset:
    """Ten clips, of which the sixth misbehaves."""
    return MultiModalDataset(
        write_clips(folder, 10),
        [{"type": "Misbehave", "name": "clip5", "how": how}, {"type": "DrawNumbers"}],
        on_error={"policy": policy, "max_bad": 0.3},
        clip_timeout=limit,
    )


def epoch(dataset: MultiModalDataset, num_workers: int) -> dict:
    """Numbers of each sample by its id, and the broken ones under ``bad``."""
    config = {
        "batch_size": 5,
        "num_workers": num_workers,
        "dataset": dataset,
        "sampler": {"type": SeededSampler, "shuffle": False},
        "collate_fn": {"type": "fusion_collate"},
    }
    found: dict = {"bad": []}
    for batch in build_dataloader(config, 1):
        found["bad"] += bad_samples_of(batch)
        for sample, video in zip(
            batch["data_samples"], batch["inputs"]["video"], strict=True
        ):
            found[sample.sample_id] = video.tolist()
    return found


def children() -> set[str]:
    """Processes that this one has started and that still live."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and fields[0] != "Z":
            found.add(stat.parent.name)
    return found


@pytest.fixture(autouse=True)
def no_process_is_left() -> object:
    before = children()
    yield
    end = time.monotonic() + 10
    while children() - before:
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("how", ["hang", "crash"])
def test_a_clip_that_never_comes_is_a_broken_one(
    tmp_path: Path, num_workers: int, how: str
) -> None:
    whole = epoch(dataset_with(tmp_path, "no", "raise", None), num_workers)
    left = epoch(dataset_with(tmp_path, how, "skip"), num_workers)
    (bad,) = left.pop("bad")
    assert (bad.sample_id, bad.reason) == ("clip5", "ClipLostError")
    why = "longer than 0.3 s" if how == "hang" else "crashed the process (SIGSEGV)"
    assert "'clip5' (v5.mp4)" in bad.message and why in bad.message
    assert left == {k: v for k, v in whole.items() if k not in ("clip5", "bad")}


@pytest.mark.parametrize("num_workers", [0, 1])
def test_the_policy_decides(tmp_path: Path, num_workers: int) -> None:
    with pytest.raises(ClipLostError, match="'clip5'.*clip_timeout"):
        epoch(dataset_with(tmp_path, "hang", "raise"), num_workers)
    found = epoch(dataset_with(tmp_path, "hang", "replace"), num_workers)
    assert len(found.pop("bad")) == 1 and len(found) == 9  # one of them twice


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_limit_changes_no_sample(tmp_path: Path, num_workers: int) -> None:
    whole, limited = (
        epoch(dataset_with(tmp_path, "no", "raise", limit), num_workers)
        for limit in (None, 30)
    )
    assert whole == limited and len(whole) == 11


def test_a_process_that_the_system_killed_is_no_broken_clip(tmp_path: Path) -> None:
    for num_workers in (0, 1):
        with pytest.raises(LostProcessError, match="clip5.*SIGKILL: .*out of memory"):
            epoch(dataset_with(tmp_path, "kill", "skip"), num_workers)


@pytest.mark.slow
def test_a_killed_worker_is_named_with_its_samples(tmp_path: Path) -> None:
    dataset = dataset_with(tmp_path, "worker", "skip")
    with pytest.raises(LostProcessError) as caught:
        epoch(dataset, 1)
    text = str(caught.value)
    assert "worker 0 of the loader" in text and "was ended by SIGKILL: most" in text
    assert text.endswith("It read last: clip5, clip6, clip7, clip8, clip9")
    assert "\n" not in text


def test_wrong_limits_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="clip_timeout is 0"):
        dataset_with(tmp_path, "no", "raise", 0)


SAMPLES = {
    "bfloat16": torch.arange(6.0).to(torch.bfloat16).reshape(2, 3),
    "turned": torch.arange(6).reshape(2, 3).T,
    "empty": torch.zeros(0, 3),
    "number": torch.tensor(7),
    "mask": torch.tensor([True, False]),
}


@pytest.mark.parametrize("memory", [8, 1000])
def test_every_tensor_and_array_arrives(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_process, "_FIRST_MEMORY", memory)
    array = np.arange(5)
    process = ClipProcess(lambda key: {**SAMPLES, "array": array, "key": key}, 5)
    first, second = process(1), process(2)
    process.close()
    assert (first["key"], second["key"]) == (1, 2)
    for name, value in SAMPLES.items():
        for found in (first[name], second[name]):
            assert found.dtype == value.dtype and torch.equal(found, value), name
    first["array"][0] = 9  # memory of its own
    assert second["array"].tolist() == [0, 1, 2, 3, 4]


def test_errors_arrive_with_their_traceback() -> None:
    def make(key: int) -> None:
        raise VideoDecodeError("a.mp4", "pyav", f"frame {key}")

    process = ClipProcess(make, 5)
    with pytest.raises(VideoDecodeError, match="frame 3") as caught:
        process(3)
    assert caught.value.backend == "pyav" and "in make" in str(caught.value.__cause__)
    process.close()


def test_a_dataset_that_has_read_can_be_sent(tmp_path: Path) -> None:
    dataset = dataset_with(tmp_path, "no", "raise", 30)
    (one,) = dataset.__getitems__([3])
    sent = pickle.loads(pickle.dumps(dataset))
    (other,) = sent.__getitems__([3])
    sent.close()
    assert torch.equal(one["inputs"]["video"], other["inputs"]["video"])
    assert torch.equal(one["inputs"]["video"], dataset[3]["inputs"]["video"])
    dataset.close()
