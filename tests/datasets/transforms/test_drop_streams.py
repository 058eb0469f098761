"""Streams taken away: how often, which together, and what is left of one."""

import itertools
import math

import numpy as np
import pytest
import torch

from mmfusion.datasets.sample_rng import sample_rng
from mmfusion.datasets.transforms import DropStreams
from mmfusion.utils.errors import InputError


def packed(**lost):
    """A packed sample of three streams; ``lost`` ones have no file."""
    inputs = dict(
        video=torch.full((1, 3, 2, 4, 4), 9, dtype=torch.uint8),
        skeleton=torch.ones(1, 4, 42, 3),
        skeleton_mask=torch.ones(1, 4, 42, dtype=torch.bool),
        text=torch.ones(1, 2, 5, dtype=torch.int64),
        text_mask=torch.ones(1, 2, 5, dtype=torch.bool),
    )
    for name in lost:
        inputs[f"{name}_mask"] = torch.zeros_like(inputs[f"{name}_mask"])
    return {"inputs": inputs}


def left(inputs, names=("video", "skeleton", "text")):
    return tuple(bool(inputs[f"{name}_mask"].any()) for name in names)


def share_of(chances, kept):
    """Probability of what is left, by the rule itself: no draw takes all."""
    draw = math.prod(1 - p if k else p for p, k in zip(chances, kept, strict=True))
    return draw / (1 - math.prod(chances)) if any(kept) else 0.0


def test_two_streams_worked_by_hand():
    # P = (0.3 + 0.7 P)^2 has the roots 9/49 and 1: p = 0.3 + 0.7 * 9/49 = 3/7, and
    # without one stream are (3/7 * 4/7) / (1 - 9/49) = 12/40 of the samples
    found = DropStreams({"a": 0.3, "b": 0.3}).probabilities(["a", "b"])
    assert found == pytest.approx({"a": 3 / 7, "b": 3 / 7}, abs=1e-12)
    assert share_of([3 / 7, 3 / 7], [False, True]) == pytest.approx(0.3)


@pytest.mark.parametrize(
    "rates",
    [[0.5, 0.2], [0.6, 0.39], [0.3, 0.0], [0.5, 0.4, 0.3], [0.7, 0.6, 0.65, 0.9]],
)
def test_each_rate_is_exact(rates):
    names = list("abcd")[: len(rates)]
    found = DropStreams(dict(zip(names, rates, strict=True))).probabilities(names)
    every = list(itertools.product([True, False], repeat=len(names)))
    for place, rate in enumerate(rates):
        without = [kept for kept in every if not kept[place]]
        total = sum(share_of([*found.values()], kept) for kept in without)
        assert total == pytest.approx(rate, abs=1e-9)


def test_ten_thousand_draws_have_the_rates_and_never_none():
    rates = dict(video=0.5, skeleton=0.2, text=0.35)
    drop, counts = DropStreams(rates), np.zeros(3)
    whole = {k: v[:, :1] for k, v in packed()["inputs"].items()}
    with sample_rng(0, 0, "all"):
        drawn = [left(drop({"inputs": dict(whole)})["inputs"]) for _ in range(10_000)]
    for kept in drawn:
        assert any(kept)
        counts += ~np.array(kept)
    for count, rate in zip(counts, rates.values(), strict=True):
        assert abs(count - 10_000 * rate) < 3 * math.sqrt(10_000 * rate * (1 - rate))


def test_what_is_taken_looks_like_what_is_missing():
    with sample_rng(0, 0, "some"):
        inputs = DropStreams({"video": 0.99})(packed())["inputs"]
    assert inputs["video_mask"].shape == (1, 2) and not inputs["video_mask"].any()
    assert inputs["video"].dtype == torch.uint8 and not inputs["video"].any()
    untouched = packed()["inputs"]
    assert all(torch.equal(inputs[k], v) for k, v in untouched.items() if k != "video")


def test_a_teacher_may_have_what_was_taken():
    with sample_rng(0, 0, "some"):
        inputs = DropStreams({"video": 0.99}, keep="whole_")(packed())["inputs"]
    assert not inputs["video"].any() and inputs["whole_video_mask"].all()
    assert torch.equal(inputs["whole_video"], packed()["inputs"]["video"])
    assert "whole_text" not in inputs


def test_a_sample_keeps_one_of_what_it_has():
    drop = DropStreams(dict(video=0.6, skeleton=0.6, text=0.6))
    seen = set()
    for number in range(60):
        with sample_rng(0, 0, str(number)):
            seen.add(left(drop(packed(text=1))["inputs"]))
            assert left(drop(packed(text=1, skeleton=1))["inputs"]) == (1, 0, 0)
    assert seen == {(1, 1, 0), (1, 0, 0), (0, 1, 0)}


@pytest.mark.parametrize(
    "rates, text",
    [
        ({}, "expected 0 <= rate < 1"),
        ({"video": 1.0}, "expected 0 <= rate < 1"),
        ({"sound": 0.1}, r"\['sound'\]; the sample has"),
        (dict(video=0.7, skeleton=0.7, text=0.7), "a sum under 2"),
    ],
)
def test_wrong_rates(rates, text):
    with pytest.raises(InputError, match=text):
        DropStreams(rates)(packed())


def test_a_stream_without_a_mask():
    sample = packed()
    sample["inputs"]["motion"] = torch.ones(1, 4)
    with pytest.raises(InputError, match="'motion_mask'"):
        DropStreams({"motion": 0.1})(sample)


def test_it_stands_after_packing():
    with pytest.raises(InputError, match="expected PackInputs before it"):
        DropStreams({"video": 0.1})({"times": {}})
