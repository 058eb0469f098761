"""Checkpoints of runs: tensors and plain values only, written whole or not at all.

A file is written beside its destination, synced, then renamed over it, so that a kill
at any moment leaves the previous file or the new one, never a half. Its digest is in
it, see :mod:`mmfusion.weights.files`.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmfusion.utils.errors import CheckpointError, SaveError
from mmfusion.utils.paths import write_atomic
from mmfusion.weights.files import write_archive

FORMAT = 2  # of what a checkpoint holds
_PLAIN = (str, int, float, bool, bytes, type(None))


def to_plain(value: Any) -> Any:
    """``value`` with numpy scalars as numbers, arrays as tensors, tensors on the CPU.

    Subclasses of dict, list and tuple become the builtin type; anything else that is
    not plain stays as it is, for ``check_plain`` to name.
    """
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return torch.from_numpy(value.copy())
    if isinstance(value, Mapping):
        return {to_plain(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return tuple(to_plain(item) for item in value)
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    return value


def check_plain(value: Any, path: str = "checkpoint") -> None:
    """Raise CheckpointError, naming the key path, unless tensors and plain values."""
    if isinstance(value, Tensor) or type(value) in _PLAIN:
        return
    if type(value) is dict:
        for key, item in value.items():
            if type(key) not in _PLAIN:
                raise CheckpointError(
                    f"{path} has the key {key!r} of type {_name(key)}; a checkpoint "
                    "holds tensors and plain values only"
                )
            check_plain(item, f"{path}[{key!r}]")
    elif type(value) in (list, tuple):
        for index, item in enumerate(value):
            check_plain(item, f"{path}[{index}]")
    else:
        raise CheckpointError(
            f"{path} is a {_name(value)}; a checkpoint holds tensors and plain values "
            "only (str, int, float, bool, bytes, None, dict, list, tuple)"
        )


def _name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def save_atomic(obj: Any, path: str | os.PathLike) -> None:
    """Write ``obj`` to ``path``: the whole file appears at once, or nothing changes.

    Args:
        obj: tensors and plain values in dicts, lists and tuples.
        path: destination; its folder must exist.

    Raises:
        CheckpointError: ``obj`` holds something else.
        SaveError: it cannot be written; for a full disk the message has the path, the
            bytes needed and the bytes free.
    """
    obj = to_plain(obj)
    check_plain(obj)
    try:
        write_atomic(path, lambda file: write_archive(obj, file))
    except OSError as error:
        raise SaveError(str(error)) from error


def check_resumable(meta: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Raise CheckpointError unless a run can go on from a checkpoint of this ``meta``.

    Args:
        meta: of a file with a right digest. path: its name, for the error.
    """
    if not meta.get("resumable"):
        raise CheckpointError(
            f"{path} holds weights only; to start from them, use load_from without"
            " resume"
        )
    if meta.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has format {meta.get('format')}, this version of mmfusion goes on"
            f" from format {FORMAT}: end the run with the version that began it, or use"
            " load_from without resume to start from its weights"
        )
