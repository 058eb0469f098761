"""The order of samples: a function of (seed, epoch), for any number of processes."""

import math
from collections.abc import Iterator, Sized
from typing import NamedTuple

import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmfusion.datasets.sample_rng import sample_digest
from mmfusion.registry import DATA_SAMPLERS
from mmfusion.utils.errors import InputError


class SampleKey(NamedTuple):
    """Key of a sample: it fixes every random choice that is made for it."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which no one needs
    epoch: int = 0
    seed: int = 0


@DATA_SAMPLERS.register_module()
class SeededSampler(Sampler[SampleKey]):
    """Yields :class:`SampleKey`s, in an order fixed by seed and epoch.

    Rank r of w takes every w-th sample from the r-th. So batch k over all ranks is the
    same set for one process with batch 8 and for two with batch 4. MMEngine's loops
    call :meth:`set_epoch`; a resumed run then calls :meth:`set_start`.

    Args:
        dataset: only its length is used.
        shuffle: permute anew in each epoch.
        seed: the same on every rank; None draws one and shares it. MMEngine's Runner
            passes its own.
        round_up: repeat the first samples until each rank has equally many, which
            training needs (an uneven rank would wait for ever). Metrics cut the
            repeated ones off again.

    Example:
        >>> sampler = SeededSampler(range(3), shuffle=False, seed=7)
        >>> list(sampler)[0]
        SampleKey(index=0, epoch=0, seed=7)
    """

    def __init__(
        self,
        dataset: Sized,
        *,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
    ) -> None:
        self.rank, self.world_size = get_dist_info()
        self.size = len(dataset)
        if self.size == 0:
            raise InputError("dataset is empty; expected at least one sample")
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else int(seed)
        self.round_up = round_up
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; a new epoch begins at its first sample."""
        if epoch != self.epoch:
            self.epoch, self.start = int(epoch), 0

    def set_start(self, num_samples: int) -> None:
        """Leave out the first samples of the epoch, which a stopped run has used.

        Call it after :meth:`set_epoch`. The length stays that of the whole epoch.

        Args:
            num_samples: samples of this rank to leave out: batches done x batch size.
        """
        if not 0 <= num_samples <= len(self):
            raise InputError(
                f"num_samples is {num_samples}; expected 0..{len(self)}, the samples of"
                f" one rank in an epoch (dataset of {self.size}, {self.world_size}"
                " ranks). Was the batch size or the dataset changed since the stop?"
            )
        self.start = int(num_samples)

    def order(self) -> list[int]:
        """Indices of the whole epoch, over all ranks, before any is left out."""
        if self.shuffle:
            generator = torch.Generator()
            # a hash: seed + epoch would give run 0 in epoch 1 the order of run 1
            digest = sample_digest(self.seed, self.epoch, "order")
            generator.manual_seed(int.from_bytes(digest[:8], "little") >> 1)
            indices = torch.randperm(self.size, generator=generator).tolist()
        else:
            indices = list(range(self.size))
        total = len(self) * self.world_size
        if self.round_up and total > self.size:
            repeats = math.ceil(total / self.size)
            indices = (indices * repeats)[:total]
        return indices

    def __iter__(self) -> Iterator[SampleKey]:
        mine = self.order()[self.rank :: self.world_size]
        for index in mine[self.start :]:
            yield SampleKey(index, self.epoch, self.seed)

    def __len__(self) -> int:
        if self.round_up:
            return math.ceil(self.size / self.world_size)
        return math.ceil((self.size - self.rank) / self.world_size)
