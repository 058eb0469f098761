"""The order of samples depends on seed and epoch, and on nothing else."""

from collections.abc import Iterator

import pytest
from torch.utils.data import DataLoader

from mmfusion.datasets import SampleKey, SeededSampler
from mmfusion.datasets import sampler as module


def _indices(sampler: SeededSampler) -> list[int]:
    return [key.index for key in sampler]


def _of_rank(
    monkeypatch: pytest.MonkeyPatch, rank: int, world: int, size: int, **options: object
) -> SeededSampler:
    monkeypatch.setattr(module, "get_dist_info", lambda: (rank, world))
    return SeededSampler(range(size), seed=3, **options)


def test_same_seed_same_order_and_keys() -> None:
    one, two = (SeededSampler(range(20), seed=5) for _ in range(2))
    assert list(one) == list(two)
    key = next(iter(one))
    assert key == SampleKey(index=key.index, epoch=0, seed=5)
    assert sorted(_indices(one)) == list(range(20))


def test_epochs_and_seeds_differ() -> None:
    orders = set()
    for seed in range(3):
        sampler = SeededSampler(range(20), seed=seed)
        for epoch in range(3):
            sampler.set_epoch(epoch)
            orders.add(tuple(_indices(sampler)))
    assert len(orders) == 9


def test_without_shuffle_in_order() -> None:
    assert _indices(SeededSampler(range(4), shuffle=False, seed=1)) == [0, 1, 2, 3]


@pytest.mark.parametrize("world", [2, 4])
def test_global_batch_is_the_same_for_any_world(
    monkeypatch: pytest.MonkeyPatch, world: int
) -> None:
    alone = _indices(_of_rank(monkeypatch, 0, 1, 24))
    ranks = [_indices(_of_rank(monkeypatch, r, world, 24)) for r in range(world)]
    each = 8 // world
    for batch in range(3):
        together = [
            i for rank in ranks for i in rank[batch * each : (batch + 1) * each]
        ]
        assert sorted(together) == sorted(alone[batch * 8 : (batch + 1) * 8])


@pytest.mark.parametrize(("size", "world"), [(10, 4), (1, 3), (7, 7)])
def test_round_up_gives_every_rank_equally_many(
    monkeypatch: pytest.MonkeyPatch, size: int, world: int
) -> None:
    ranks = [list(_of_rank(monkeypatch, r, world, size)) for r in range(world)]
    assert {len(rank) for rank in ranks} == {-(-size // world)}
    assert {key.index for rank in ranks for key in rank} == set(range(size))
    exact = [
        _of_rank(monkeypatch, r, world, size, round_up=False) for r in range(world)
    ]
    assert [len(list(rank)) for rank in exact] == [len(rank) for rank in exact]
    assert sorted(i for rank in exact for i in _indices(rank)) == list(range(size))


def test_start_in_mid_epoch_holds_for_that_epoch() -> None:
    sampler = SeededSampler(range(10), seed=2)
    sampler.set_epoch(4)
    whole = list(sampler)
    sampler.set_start(6)
    sampler.set_epoch(4)
    assert list(sampler) == whole[6:]
    assert len(sampler) == 10
    sampler.set_epoch(5)
    assert len(list(sampler)) == 10


def test_wrong_start_and_empty_dataset_are_named() -> None:
    with pytest.raises(ValueError, match=r"num_samples is 11; expected 0\.\.10"):
        SeededSampler(range(10), seed=0).set_start(11)
    with pytest.raises(ValueError, match="dataset is empty"):
        SeededSampler([])


def test_drop_last_and_no_seed() -> None:
    sampler = SeededSampler(range(10))
    batches = list(DataLoader(range(10), 4, sampler=_Plain(sampler), drop_last=True))
    assert [len(batch) for batch in batches] == [4, 4]


class _Plain:
    """Bare indices, for a dataset that is a range."""

    def __init__(self, sampler: SeededSampler) -> None:
        self.sampler = sampler

    def __iter__(self) -> Iterator[int]:
        return (key.index for key in self.sampler)

    def __len__(self) -> int:
        return len(self.sampler)
