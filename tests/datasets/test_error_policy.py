"""A broken clip stops, is left out, or is replaced; a mistake in code always stops."""

import pickle
from pathlib import Path

import pytest
from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader

from mmfusion.datasets import MultiModalDataset, SampleKey, SeededSampler
from mmfusion.datasets.collate import fusion_collate
from mmfusion.datasets.error_policy import (
    BadSample,
    ErrorPolicy,
    attach_bad_samples,
    bad_samples_of,
    substitute_index,
)
from mmfusion.utils.errors import MediaError, SkeletonError, VideoDecodeError
from tests.datasets.clips import write_clips


def _dataset(
    folder: Path, policy: str, broken: list[int], size: int = 10, **options: object
) -> MultiModalDataset:
    names = tuple(f"clip{number}" for number in broken)
    return MultiModalDataset(
        write_clips(folder, size),
        [{"type": "DrawNumbers", "broken": names}],
        on_error={"policy": policy, "max_bad": 0.3, **options},
    )


def _epoch(dataset: MultiModalDataset, num_workers: int) -> list[tuple]:
    sampler = SeededSampler(dataset, seed=1)
    loader = DataLoader(
        dataset, 5, sampler=sampler, num_workers=num_workers, collate_fn=fusion_collate
    )
    return [
        (
            [sample.sample_id for sample in batch["data_samples"]],
            batch["inputs"]["video"].tolist(),
            bad_samples_of(batch),
        )
        for batch in loader
    ]


def test_raise_is_the_default(tmp_path: Path) -> None:
    assert ErrorPolicy.from_config(None, test_mode=False).policy == "raise"
    dataset = _dataset(tmp_path, "raise", [3])
    dataset[0]
    with pytest.raises(VideoDecodeError, match="clip3.mp4: damaged"):
        dataset[3]
    try:
        dataset[3]
    except VideoDecodeError:
        sent = pickle.dumps(ExceptionWrapper(where="in a worker process"))
    with pytest.raises(VideoDecodeError, match="(?s)in a worker.*clip3.mp4: damaged"):
        pickle.loads(sent).reraise()  # as a DataLoader does


def test_skip_makes_batches_smaller_and_reports(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, "skip", [3, 1])
    assert dataset[1] == BadSample("clip1", "SkeletonError", "clip1.mp4: damaged", 3)
    batches = _epoch(dataset, 0)
    assert sum(len(ids) for ids, _, _ in batches) == 8
    bad = [item.sample_id for _, _, items in batches for item in items]
    assert sorted(bad) == ["clip1", "clip3"]


def test_replace_keeps_batches_whole_and_reports(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, "replace", [3, 1])
    batches = _epoch(dataset, 0)
    assert [len(ids) for ids, _, _ in batches] == [5, 5]
    ids = {name for names, _, _ in batches for name in names}
    assert not ids & {"clip1", "clip3"}
    bad = {item.sample_id for _, _, items in batches for item in items}
    assert bad == {"clip1", "clip3"}


@pytest.mark.parametrize("policy", ["skip", "replace"])
def test_workers_do_not_matter(tmp_path: Path, policy: str) -> None:
    dataset = _dataset(tmp_path, policy, [3, 1])
    assert _epoch(dataset, 2) == _epoch(dataset, 0) == _epoch(dataset, 0)


def test_substitute_depends_on_seed_epoch_and_index(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, "replace", [3], size=50)

    def stands_in(epoch: int, seed: int) -> str:
        return dataset[SampleKey(3, epoch, seed)]["data_samples"].sample_id

    chosen = [stands_in(epoch, seed) for epoch in range(3) for seed in range(3)]
    assert chosen == [stands_in(epoch, seed) for epoch in range(3) for seed in range(3)]
    assert len(set(chosen)) > 4


def test_substitute_is_another_clip() -> None:
    for size in (1, 2, 7):
        found = {
            substitute_index(size, index=size - 1, epoch=0, seed=0, attempt=attempt)
            for attempt in range(60)
        }
        assert found == set(range(max(size - 1, 1)))


def test_all_broken_stops_and_names_the_tries(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, "replace", list(range(10)), max_tries=2)
    with pytest.raises(MediaError, match=r"(?s)'clip4' and the 2 clips tried.*damaged"):
        dataset[4]


@pytest.mark.parametrize("policy", ["raise", "skip", "replace"])
def test_mistake_in_code_always_stops(tmp_path: Path, policy: str) -> None:
    dataset = MultiModalDataset(
        write_clips(tmp_path, 3),
        [{"type": "DrawNumbers", "wrong": ("clip1",)}],
        on_error={"policy": policy},
    )
    with pytest.raises(KeyError, match="clip1"):
        dataset[1]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"policy": "ignore"}, "policy is 'ignore'; expected one of"),
        ({"polcy": "skip"}, "on_error has 'polcy'; .*did you mean 'policy'"),
        ({"max_bad": 2}, "max_bad is 2; expected a fraction"),
        ({"max_tries": 0}, "max_tries is 0; expected 1 or more"),
    ],
    ids=str,
)
def test_wrong_policy_is_named(config: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ErrorPolicy.from_config(config, test_mode=False)


def test_nothing_is_replaced_in_testing() -> None:
    with pytest.raises(ValueError, match="'replace' with test_mode; expected 'raise'"):
        ErrorPolicy.from_config({"policy": "replace"}, test_mode=True)


def test_report_needs_a_data_sample() -> None:
    with pytest.raises(ValueError, match="data_samples of a sample is NoneType"):
        attach_bad_samples({"inputs": {}}, [BadSample("a", "E", "", 0)])


@pytest.mark.parametrize("kind", [MediaError, VideoDecodeError, SkeletonError])
def test_error_is_rebuilt_from_its_text(kind: type[MediaError]) -> None:
    error = kind("a.mp4", reason="it is empty")
    assert "'a.mp4'" in str(error) and "it is empty" in str(error)
    assert str(kind(str(error))) == str(error)
