"""Randomness inside is f(seed, epoch, id); outside it is as if nothing had been."""

import random

import numpy as np
import pytest
import torch

from mmfusion.datasets.sample_rng import sample_digest, sample_rng


def _draw() -> tuple:
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_inside_depends_on_all_three() -> None:
    drawn = []
    for key in [(0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b")]:
        with sample_rng(*key):
            first = _draw()
        with sample_rng(*key):
            assert _draw() == first
        drawn += first
    assert len(set(drawn)) == len(drawn)


def test_outside_goes_on_even_after_an_error() -> None:
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = [_draw() for _ in range(3)]
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    found = [_draw()]
    with sample_rng(0, 0, "a"):
        _draw()
    found.append(_draw())
    with pytest.raises(ValueError, match="broken"), sample_rng(0, 0, "a"):
        raise ValueError("broken")
    found.append(_draw())
    assert found == expected


def test_digest_keeps_borders_and_takes_any_id() -> None:
    digests = {
        sample_digest(1, 23, "a"),
        sample_digest(12, 3, "a"),
        sample_digest(1, 2, 3, "a"),
        sample_digest(1, 23, "a\ud800"),
        sample_digest(2**70, 0, ""),
    }
    assert len(digests) == 5 and {len(digest) for digest in digests} == {32}
