"""Features that someone has computed of a video: arrays a video, or an LMDB of frames.

Read are RULSTM's LMDB (a float32 vector a frame, under the name of its image) and files
of one array a video, (t, d): npy, npz, pt, safetensors. None can run code, and a number
that is not finite, a wrong width, a missing key or a truncated file is one error that
names file and key.

Shapes: t features of a video, d channels.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from mmfusion.utils.errors import CheckpointError, FeatureError
from mmfusion.utils.npz_file import read_npy, read_npz, read_remembered
from mmfusion.utils.optional import import_optional
from mmfusion.weights.files import check_archive, why_refused

MAX_BYTES = 4 * 2**30  # of one file of one video
_FLOATS = (torch.float16, torch.float32, torch.float64)  # that NumPy has, too
SUFFIXES = (".npy", ".npz", ".pt", ".pth", ".safetensors")
FEATURES, TIMES = "features", "times"  # names of arrays in a file of several


@dataclass(frozen=True)
class VideoFeatures:
    """Features of one video.

    Attributes:
        values: (t, d) of any kind of float.
        times: (t,) seconds, rising, from which each may be known; None where only their
            number tells it.
        file: where they are from.
    """

    values: np.ndarray
    times: np.ndarray | None
    file: str

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The rows (n,) as float32 (n, d).

        Raises:
            FeatureError: one is not finite.
        """
        found = self.values[rows].astype(np.float32)
        for row, value in zip(rows, found, strict=True):
            if not np.isfinite(value).all():
                raise FeatureError(self.file, f"row {row} has NaN or infinity")
        return found


def read_video_features(path: str, width: int, key: str | None = None) -> VideoFeatures:
    """Features of one video, remembered until the file changes.

    Args:
        path: npy, npz, pt or safetensors.
        width: d.
        key: name of the array in a file of several; None takes the only one, or that
            named ``features``. One named ``times`` has their seconds.

    Raises:
        FeatureError: no such file, it is damaged, lacks the key, is empty, or has
            another width.
    """
    return read_remembered(path, _parse, width, key, error=FeatureError)


def _parse(path: str, width: int, key: str | None) -> VideoFeatures:
    arrays = _arrays(path)
    times = arrays.pop(TIMES, None) if key != TIMES else None
    name = key or (FEATURES if FEATURES in arrays else next(iter(arrays), ""))
    if name not in arrays or (key is None and name != FEATURES and len(arrays) > 1):
        raise FeatureError(
            path, f"it has the arrays {sorted(arrays)}; expected {key or FEATURES!r}"
        )
    values = arrays[name]
    if values.dtype.kind != "f":
        raise FeatureError(path, f"{name!r} holds {values.dtype}; expected floats")
    shape = values.shape
    if values.size and (values.ndim == 1 or (values.ndim == 3 and 1 in shape[:2])):
        values = values.reshape(-1, shape[-1])  # (t, d)
    if values.ndim != 2 or values.shape[1] != width or not len(values):
        raise FeatureError(
            path,
            f"{name!r} has the shape {shape}; expected (t, {width}), t 1 or more, as"
            f" width is {width}",
        )
    if times is not None and not (
        times.dtype.kind in "iuf"
        and times.shape == (len(values),)
        and np.isfinite(times).all()
        and (times[1:] > times[:-1]).all()
    ):
        raise FeatureError(
            path, f"{TIMES!r} is no row of {len(values)} rising seconds, one a feature"
        )
    return VideoFeatures(values, times, path)


def _arrays(path: str) -> dict[str, np.ndarray]:
    if path.endswith(".npy"):
        return {FEATURES: read_npy(path, max_bytes=MAX_BYTES, error=FeatureError)}
    if path.endswith(".npz"):
        return read_npz(path, max_bytes=MAX_BYTES, error=FeatureError)
    if not path.endswith(SUFFIXES):
        raise FeatureError(path, f"unknown kind of file; expected one of {SUFFIXES}")
    size = os.path.getsize(path)
    if size > MAX_BYTES:
        raise FeatureError(path, f"{size} bytes; the limit is {MAX_BYTES}")
    content = _tensors(path)
    tensors = content if isinstance(content, Mapping) else {FEATURES: content}
    return {
        str(key): _array(path, str(key), value)
        for key, value in tensors.items()
        if isinstance(value, torch.Tensor)
    }


def _array(path: str, key: str, value: torch.Tensor) -> np.ndarray:
    if value.is_floating_point() and value.dtype not in _FLOATS:
        value = value.float()  # such as bfloat16
    try:
        return value.detach().numpy()  # saved where gradients were on
    except (RuntimeError, TypeError) as error:
        told = str(error).partition(".")[0]
        raise FeatureError(
            path, f"{key!r} is no plain tensor ({told:.100}); expected a dense one"
        ) from error


def _tensors(path: str) -> Any:
    try:
        if path.endswith(".safetensors"):
            from safetensors.torch import load_file

            return load_file(path)
        check_archive(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError as error:
        raise FeatureError(path, f"damaged, or no file of torch: {error}") from error
    except Exception as error:  # whatever zip, pickle or safetensors find in it
        told = f"the file {why_refused(error)}"
        raise FeatureError(path, f"{told}; expected torch.save(tensor)") from error


def read_lmdb(path: str, keys: list[str], width: int) -> tuple[str, np.ndarray] | None:
    """The first of the keys that is there, and its feature (d,) float32; else None.

    Args:
        path: folder of an LMDB, or its file.
        keys: names of frames, the one that is wanted first.
        width: d.

    Raises:
        FeatureError: no such LMDB, it is damaged, or a value is not d finite numbers.
        MissingPackageError: the package lmdb is not installed.
    """
    env = _open_lmdb(path, os.getpid())
    try:
        with env.begin() as transaction:
            for key in keys:
                data = transaction.get(key.encode())
                if data is not None:
                    return key, _vector(path, key, data, width)
    except import_lmdb().Error as error:
        raise FeatureError(path, f"damaged: {error}") from error
    return None


def _vector(path: str, key: str, data: bytes, width: int) -> np.ndarray:
    if len(data) != 4 * width:
        raise FeatureError(
            path,
            f"{key!r} has {len(data)} bytes, {len(data) // 4} float32; expected"
            f" {width}, as width is {width}",
        )
    value = np.frombuffer(data, np.float32)
    if not np.isfinite(value).all():
        raise FeatureError(path, f"{key!r} has NaN or infinity")
    return value


@lru_cache(maxsize=16)
def _open_lmdb(path: str, process: int) -> Any:
    """One environment a path and process: a fork may not share it."""
    return open_lmdb(
        path,
        subdir=os.path.isdir(path),
        readonly=True,
        create=False,
        lock=False,
        readahead=False,
    )


def open_lmdb(path: str, **options: Any) -> Any:
    """An environment of the package lmdb, all of whose pages are there.

    Args:
        path: of its folder or file. options: of ``lmdb.open``.

    Raises:
        FeatureError: no such LMDB, or it is damaged.
    """
    lmdb = import_lmdb()
    try:
        env = lmdb.open(path, **options)
    except (lmdb.Error, OSError) as error:
        raise FeatureError(
            path, f"not a readable LMDB ({error}); expected a folder with data.mdb"
        ) from error
    file = os.path.join(path, "data.mdb") if os.path.isdir(path) else path
    need = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    if os.path.getsize(file) < need:  # a page behind the end would kill the process
        env.close()
        raise FeatureError(
            file, f"truncated: {os.path.getsize(file)} bytes, its pages need {need}"
        )
    return env


def import_lmdb() -> Any:
    """The package lmdb.

    Raises:
        MissingPackageError: it is not installed; the message has the command.
    """
    return import_optional("lmdb", "features in an LMDB")
