"""Randomness of one sample: a function of (seed, epoch, sample id) and nothing else.

Transforms, MMAction2's among them, draw from the global generators of ``random``,
NumPy and PyTorch. Seeding those for the time of one sample makes the sample the same
whatever the number of workers, the order of loading, or where a run was resumed.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import get_worker_info


def sample_digest(seed: int, epoch: int, *keys: str | int) -> bytes:
    """32 bytes that depend on every argument, and on their order and borders."""
    text = repr((int(seed), int(epoch), *keys))
    return hashlib.blake2b(
        text.encode("utf-8", "surrogatepass"), digest_size=32
    ).digest()


@contextmanager
def sample_rng(seed: int, epoch: int, sample_id: str) -> Iterator[None]:
    """Seed the global CPU generators for one sample, and put them back after.

    A loader's worker does nothing but samples: there nobody misses what was before.
    The generators of a GPU are left alone: a sample is made on the CPU, and
    ``torch.manual_seed`` would reset the GPU's without a way back.
    """
    if get_worker_info() is None:
        states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    else:
        states = None
    digest = sample_digest(seed, epoch, sample_id)
    random.seed(digest)
    np.random.seed(np.frombuffer(digest, dtype=np.uint32))
    torch.default_generator.manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    try:
        yield
    finally:
        if states is not None:
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.random.set_rng_state(states[2])
