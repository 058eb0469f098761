"""Whole streams taken away at random, so that a model learns to do without them."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmfusion.registry import TRANSFORMS
from mmfusion.structures import MASK_SUFFIX
from mmfusion.utils.errors import InputError

_STEPS, _CLOSE = 100_000, 1e-15  # of the fixed point below


@TRANSFORMS.register_module()
class DropStreams(BaseTransform):
    """Take streams away from a packed sample, never all that it has.

    A stream that is taken away is what ``PackInputs`` makes of one without a file:
    zeros, and a mask that is False everywhere. Streams are drawn apart from each other
    and, where that would leave none, all are drawn again; the probabilities of a draw
    are chosen so that each stream of a complete sample is missing with exactly its
    rate. A sample that lacks a stream already keeps at least one of those that it has.
    All draws come from the sample's own seed.

    Stands after ``PackInputs``, in the pipeline of training only.

    Args:
        rates: share of the samples without it, by stream; the others stay. With all
            streams named, their sum is less than their number minus 1.
        keep: beginning of the names under which the named streams stay as they were,
            such as ``whole_``, for a teacher that sees all of them; None keeps nothing.

    Modified keys: inputs; a video without a mask gets one.

    Example:
        >>> DropStreams({"text": 0.2}).probabilities(["video", "text"])
        {'video': 0.0, 'text': 0.2}
    """

    def __init__(self, rates: Mapping[str, float], keep: str | None = None) -> None:
        wrong = {k: v for k, v in rates.items() if not 0 <= v < 1}
        if wrong or not rates:
            raise InputError(f"rates: got {dict(rates)}; expected 0 <= rate < 1 each")
        self.rates = dict(rates)
        self.keep = keep
        self._chances: dict[tuple[str, ...], dict[str, float]] = {}

    def probabilities(self, streams: list[str]) -> dict[str, float]:
        """Probability of each stream in a draw that is repeated where it takes all.

        With P the product of all of them, a stream of probability p is missing from
        (p - P) / (1 - P) of the draws that count. That is its rate r for
        p = r + P (1 - r), and P is the smallest solution of P = prod(r + P (1 - r)).

        Raises:
            InputError: a stream that the sample does not have, or rates too high.
        """
        strange = sorted(self.rates.keys() - set(streams))
        if strange:
            raise InputError(
                f"rates: got {strange}; the sample has the streams {streams}"
            )
        rates = {name: self.rates.get(name, 0.0) for name in streams}
        if sum(rates.values()) >= len(streams) - 1:
            raise InputError(
                f"rates: got {self.rates}; expected a sum under {len(streams) - 1} of"
                f" the {len(streams)} streams {streams}, as one always stays"
            )
        all_gone = 0.0
        for _ in range(_STEPS):
            before = all_gone
            all_gone = math.prod(r + before * (1 - r) for r in rates.values())
            if all_gone - before < _CLOSE:
                break
        return {name: r + all_gone * (1 - r) for name, r in rates.items()}

    def transform(self, results: dict) -> dict:
        if "inputs" not in results:
            raise InputError(
                "DropStreams got a sample that is not packed; expected"
                " PackInputs before it"
            )
        inputs = results["inputs"]
        streams = [name for name in inputs if not name.endswith(MASK_SUFFIX)]
        if tuple(streams) not in self._chances:
            self._chances[tuple(streams)] = self.probabilities(streams)
        chances = self._chances[tuple(streams)]
        # every sample of a batch has the same keys
        masks = {name: _mask_of(inputs, name) for name in self.rates}
        present = [n for n in streams if masks.get(n, _given_mask(inputs, n)).any()]
        gone = self._draw([chances[name] for name in present])
        inputs.update({name + MASK_SUFFIX: mask for name, mask in masks.items()})
        if self.keep is not None:
            keys = [name + end for name in self.rates for end in ("", MASK_SUFFIX)]
            inputs.update({self.keep + key: inputs[key] for key in keys})
        for name, is_gone in zip(present, gone, strict=True):
            if is_gone:
                for key in (name, name + MASK_SUFFIX):
                    inputs[key] = torch.zeros_like(inputs[key])
        return results

    @staticmethod
    def _draw(chances: list[float]) -> np.ndarray:
        """(m,) bool of m streams that are present, not all True."""
        while True:
            gone = np.random.random(len(chances)) < chances
            if not gone.all() or not len(chances):
                return gone


def _given_mask(inputs: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    """The stream's mask, or one True."""
    return inputs.get(name + MASK_SUFFIX, torch.ones(1, dtype=torch.bool))


def _mask_of(inputs: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
    """The stream's mask; of a video (v, 3, t, h, w) without one, (v, t) True."""
    mask = inputs.get(name + MASK_SUFFIX)
    if mask is not None:
        return mask
    value = inputs[name]
    if name != "video":
        raise InputError(
            f"rates: the stream {name!r} has no mask that says it is missing; let the"
            f" transform that makes it write {name + MASK_SUFFIX!r}, too"
        )
    return torch.ones(value.shape[0], value.shape[2], dtype=torch.bool)
