"""Read an npz, or an npy, of plain arrays that a stranger may have written.

The only reader of such files: what a header claims is compared with the bytes that are
there before anything of that size is made, every array's checksum is read, and objects
are refused.
"""

import math
import os
import warnings
import zipfile
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import IO, TypeVar

import numpy as np

from mmfusion.utils.errors import InputError, MMFusionError
from mmfusion.utils.text_files import open_plain

Content = TypeVar("Content")
FileError = Callable[[str, str], Exception]
"""Path and reason -> the error to raise, such as a subclass of MediaError."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes
_MOST_DEFLATED = 1100  # bytes unpacked from one; deflate reaches 1032
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npz(path: str, *, max_bytes: int, error: FileError) -> dict[str, np.ndarray]:
    """Every array of the file.

    Args:
        path: of the npz.
        max_bytes: how much it may unpack to; a zip may claim any size.
        error: makes what is raised, which names the file: it is too large, damaged, no
            npz, encrypted, of an unknown compression, or holds objects.
    """
    try:
        with open_plain(path, error_type=InputError) as stream:
            archive = zipfile.ZipFile(stream)
            items = archive.infolist()
            size = sum(item.file_size for item in items)
            if size > max_bytes:
                raise InputError(f"{size} bytes unpacked; the limit is {max_bytes}")
            if len({item.filename for item in items}) < len(items):
                raise InputError("an array is there twice")
            return {_name(item): _read_array(archive, item) for item in items}
    except Exception as found:  # whatever zipfile, zlib, NumPy find in damaged bytes
        if isinstance(found, MMFusionError) and not isinstance(found, InputError):
            raise
        reason = f"not a readable npz of plain arrays ({found or type(found).__name__})"
        raise error(path, reason) from found


def read_npy(path: str, *, max_bytes: int, error: FileError) -> np.ndarray:
    """The array of an npy.

    Args:
        path: of the npy. max_bytes: how large it may be.
        error: makes what is raised, which names the file: it is too large, damaged, no
            npy, or holds objects.
    """
    try:
        with open_plain(path, error_type=InputError) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > max_bytes:
                raise InputError(f"{size} bytes; the limit is {max_bytes}")
            return _read_stream(stream, "array")
    except (InputError, OSError, ValueError) as found:
        reason = f"not a readable npy of a plain array ({found})"
        raise error(path, reason) from found


def _name(item: zipfile.ZipInfo) -> str:
    name = item.filename.removesuffix(".npy")
    if name == item.filename:
        raise InputError(f"{name!r:.80} in it is no array")
    return name


def _read_array(archive: zipfile.ZipFile, item: zipfile.ZipInfo) -> np.ndarray:
    """One array, in memory of its own."""
    name = _name(item)
    if item.flag_bits & 1 or item.compress_type not in _METHODS:
        raise InputError(
            f"array {name!r} is encrypted or of the compression {item.compress_type};"
            " expected it as numpy.savez or savez_compressed writes it"
        )
    if item.file_size > _MOST_DEFLATED * (item.compress_size + 1):
        raise InputError(
            f"array {name!r} claims {item.file_size} bytes of {item.compress_size}"
        )
    with archive.open(item) as stream:
        return _read_stream(stream, name)


def _read_stream(stream: IO[bytes], name: str) -> np.ndarray:
    """An array of a stream, read to its end, where a zip's checksum is compared."""
    shape, by_column, dtype = _read_header(stream, name)
    data = stream.read()
    need = math.prod(shape) * dtype.itemsize
    if len(data) != need:
        raise InputError(
            f"array {name!r} claims {dtype} {shape}, {need} bytes, and has {len(data)}"
        )
    if not need:
        return np.zeros(shape, dtype)
    array = np.frombuffer(bytearray(data), dtype)
    return array.reshape(shape, order="F" if by_column else "C")


def _read_header(
    stream: IO[bytes], name: str
) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise InputError(f"array {name!r} is of the format {version}; expected 1 or 2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python's parser, about a damaged header
        shape, by_column, dtype = _HEADERS[version](stream)
    if dtype.hasobject or dtype.names:
        raise InputError(
            f"array {name!r} holds {dtype}; expected numbers or text, no objects"
        )
    if min(shape, default=0) < 0:
        raise InputError(f"array {name!r} claims the shape {shape}")
    return shape, by_column, dtype


def read_remembered(
    path: str,
    parse: Callable[..., Content],
    *args: Hashable,
    error: FileError,
) -> Content:
    """``parse(path, *args)``, read anew only after the file has changed.

    The last 128 contents are remembered; they are shared, so none may be changed.
    """
    try:
        stat = os.stat(path)
    except (OSError, ValueError) as found:  # ValueError: NUL in the path
        raise error(path, "the file does not exist") from found
    return _remembered(path, stat.st_mtime_ns, stat.st_size, parse, args)


@lru_cache(maxsize=128)
def _remembered(
    path: str,
    mtime_ns: int,
    num_bytes: int,
    parse: Callable[..., Content],
    args: tuple[Hashable, ...],
) -> Content:
    """A changed file has another ``mtime_ns`` or ``num_bytes`` and is read anew."""
    return parse(path, *args)
