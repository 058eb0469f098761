"""Checkpoints: tensors and plain values only, written whole or not at all.

A file is written beside its destination, synced, then renamed over it, so that a kill
at any moment leaves the previous file or the new one, never a half. Files are read as
safetensors or by ``torch.load(weights_only=True)``; there is no other way and no
fallback, whatever a file asks for.
"""

import argparse
import errno
import os
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmfusion.utils.errors import CheckpointError
from mmfusion.utils.paths import write_atomic

# what published training checkpoints hold beside tensors: options and best accuracies
_scalar = np.float64(0).__reduce__()[0]
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    _scalar,
    (_scalar, "numpy.core.multiarray.scalar"),  # its name before NumPy 2
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")),
]
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
        CheckpointError: ``obj`` holds something else, or the disk is full (the message
            has the path, the bytes needed and the bytes free).
    """
    obj = to_plain(obj)
    check_plain(obj)
    try:
        write_atomic(path, lambda file: torch.save(obj, file))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise CheckpointError(f"cannot write {path}: {error}") from error
        free = shutil.disk_usage(Path(path).parent).free
        raise CheckpointError(
            f"no space to write {path}: it needs {_num_bytes(obj)} bytes and "
            f"{free} are free; what was there before is untouched"
        ) from error


def write_text_atomic(path: str | os.PathLike, text: str) -> None:
    """Write a small UTF-8 text file whole or not at all."""
    write_atomic(path, text.encode())


def _num_bytes(obj: Any) -> int:
    """Bytes of all tensors in ``obj``: what a file of it needs at least."""
    if isinstance(obj, Tensor):
        return obj.numel() * obj.element_size()
    if isinstance(obj, dict):
        return sum(_num_bytes(value) for value in obj.values())
    if isinstance(obj, list | tuple):
        return sum(_num_bytes(value) for value in obj)
    return 0


def load_checked(path: str | os.PathLike, map_location: str = "cpu") -> dict[str, Any]:
    """Read a checkpoint without running anything that is in it.

    Args:
        path: a ``.safetensors`` file, or one written by ``torch.save``.
        map_location: device of the tensors.

    Returns:
        The dict in the file.

    Raises:
        CheckpointError: the file is missing, damaged, or holds more than tensors and
            plain values; such a file is refused, and nothing in it has run.
    """
    file = Path(path)
    if not file.is_file():
        what = "is not a file" if file.exists() else "does not exist"
        raise CheckpointError(f"checkpoint {file} {what}")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file, device=map_location)
        check_archive(file)
        with torch.serialization.safe_globals(_HARMLESS):
            loaded = torch.load(file, map_location=map_location, weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(_refusal(file, error)) from error
    if not isinstance(loaded, dict):
        raise CheckpointError(
            f"checkpoint {file} holds a {_name(loaded)}, expected a dict"
        )
    return loaded


def check_archive(path: str | os.PathLike) -> None:
    """Compare the checksums in a ``torch.save`` file: torch itself does not."""
    if not zipfile.is_zipfile(path):
        return  # the format before torch 1.6, or damaged: torch.load says which
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:
        raise CheckpointError(f"checkpoint {path} is damaged: {error}") from error
    if damaged is not None:
        raise CheckpointError(f"checkpoint {path} is damaged: checksum of {damaged}")


def _refusal(path: Path, error: Exception) -> str:
    """One line for a file that torch or safetensors did not read."""
    reason = " ".join(str(error).split()) or type(error).__name__
    for marker in ("Unsupported global: ", "Unsupported class ", "Trying to "):
        if marker in reason:
            what = reason[reason.index(marker) :].split(". ")[0].split(" was not")[0]
            return (
                f"checkpoint {path} is refused, nothing in it was run: it asks for "
                f"more than tensors and plain values ({what[:160]})"
            )
    # torch's own text begins with the advice to read such a file without safety
    reason = reason.rpartition("WeightsUnpickler error: ")[2].split(" Check the ")[0]
    kind = type(error).__name__
    return f"checkpoint {path} is damaged or not a checkpoint: {kind}: {reason[:200]}"


def peek_meta(path: str | os.PathLike) -> dict[str, Any]:
    """The ``meta`` dict of a checkpoint of ours, its tensors left on the disk."""
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return loaded["meta"]
    except Exception as error:
        raise CheckpointError(_refusal(Path(path), error)) from error


def state_dict_difference(
    expected: Mapping[str, Tensor], given: Mapping[str, Tensor], max_lines: int = 8
) -> str:
    """What keeps ``given`` out of a model of ``expected``: one screen, '' if nothing.

    Args:
        expected: the model's own state dict.
        given: the state dict of the file.
        max_lines: keys listed of each kind.
    """
    missing = sorted(expected.keys() - given.keys())
    surplus = sorted(given.keys() - expected.keys())
    shapes = [
        f"{key}: file {tuple(given[key].shape)}, model {tuple(expected[key].shape)}"
        for key in expected
        if key in given and given[key].shape != expected[key].shape
    ]
    lines = []
    for title, keys in (
        ("of another shape", shapes),
        ("missing in the file", missing),
        ("not in the model", surplus),
    ):
        if keys:
            lines.append(f"  {len(keys)} {title}:")
            lines += [f"    {key}" for key in keys[:max_lines]]
            if len(keys) > max_lines:
                lines.append(f"    ... and {len(keys) - max_lines} more")
    return "\n".join(lines)
