"""Tokens that a frozen encoder has made of a clip, in place of its frames."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.datasets.caches.token_cache import (
    canonical,
    differences,
    file_of,
    read_tokens,
)
from mmfusion.datasets.transforms.sample_times import times_of
from mmfusion.registry import TRANSFORMS
from mmfusion.structures import MASK_SUFFIX
from mmfusion.utils.errors import FeatureError, InputError
from mmfusion.utils.text_files import parse_json

CLOSE = 1e-6  # seconds between a time and the same one


@TRANSFORMS.register_module()
class LoadTokens(BaseTransform):
    """Read the tokens of a clip from the folder that ``tools/features.py`` wrote.

    A config's ``features = dict(video=FOLDER)`` puts it in the place of what decodes,
    resizes and crops. Tokens of other weights, pixels or times are refused, and the
    error names what has changed.

    Args:
        stream: name of the stream.
        folder: of the files.
        made: description that each file must have, see ``caches/token_cache.py``; as
            JSON in a config, in which nothing takes it for parts to be built.
        instead_of: configs of the transforms that it stands for.

    Required keys: times, sample_id. Added keys: <stream> (v, l, d) float32, the CLS
    token first where the encoder gives one; and, where it gives one, <stream>_mask
    (v, l) bool; cached, the streams that PackInputs takes so.
    """

    def __init__(
        self,
        stream: str,
        folder: str,
        *,
        made: Mapping[str, Any] | str,
        instead_of: Sequence[Mapping] = (),
    ) -> None:
        self.stream, self.folder = stream, folder
        self.made = made if isinstance(made, str) else canonical(made)
        self.with_cls = bool(parse_json(self.made.encode(), _MADE).get("with_cls"))
        self.instead_of = tuple(instead_of)

    def transform(self, results: dict) -> dict:
        name = results["sample_id"]
        path = str(file_of(self.folder, name))
        arrays, metadata = read_tokens(path)
        if metadata["id"] != name:
            raise FeatureError(path, f"it is of {metadata['id']!r}; expected {name!r}")
        self._check_made(path, metadata["made"])
        self._check_times(path, arrays["times"], times_of(results, self.stream))
        self._check_arrays(path, arrays)
        tokens, mask = arrays["tokens"], arrays.get("mask")  # (v, l, d), (v, l)
        if "cls" in arrays:
            tokens = np.concatenate([arrays["cls"][:, None], tokens], axis=1)
            if mask is not None:
                mask = np.concatenate([mask.any(1, keepdims=True), mask], axis=1)
        results[self.stream] = tokens.astype(np.float32)
        results["cached"] = (*results.get("cached", ()), self.stream)
        if mask is not None:
            results[self.stream + MASK_SUFFIX] = mask
        return results

    def _check_arrays(self, path: str, arrays: Mapping[str, np.ndarray]) -> None:
        shape = arrays["tokens"].shape
        if len(shape) != 3 or 0 in shape:
            raise FeatureError(
                path, f"tokens have the shape {shape}; expected (v, l, d)"
            )
        wanted: dict[str, tuple] = {"tokens": ("f", shape)}
        if self.with_cls or "cls" in arrays:
            wanted["cls"] = ("f", (shape[0], shape[2]))
        if "mask" in arrays:
            wanted["mask"] = ("b", shape[:2])
        for key, (kind, size) in wanted.items():
            value = arrays.get(key)
            if value is None or value.dtype.kind != kind or value.shape != size:
                found = "not there" if value is None else f"{value.dtype} {value.shape}"
                name = "floats" if kind == "f" else "bool"
                raise FeatureError(path, f"{key} is {found}; expected {name} {size}")
            if not np.isfinite(value).all():
                raise FeatureError(path, f"{key} has NaN or infinity")

    def _check_made(self, path: str, made: str) -> None:
        if made != self.made:
            wanted = parse_json(self.made.encode(), _MADE)
            told = differences(parse_json(made.encode(), path), wanted)
            raise InputError(f"{path} is out of date: {'; '.join(told)}; {_AGAIN}")

    def _check_times(self, path: str, made: np.ndarray, wanted: np.ndarray) -> None:
        if made.shape == wanted.shape and np.abs(made - wanted).max() <= CLOSE:
            return
        raise InputError(
            f"{path} is out of date: sampling: its frames are at {_shown(made)} s, the"
            f" pipeline asks for {_shown(wanted)}; give the sampler the arguments of"
            f" then (none that draws at random), or {_AGAIN}"
        )


_MADE = "made of LoadTokens"
_AGAIN = "make the features again with tools/features.py --overwrite"


def _shown(times: np.ndarray) -> str:
    return np.array2string(times, precision=3, threshold=6, edgeitems=2)
