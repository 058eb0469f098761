"""Read a pickle of arrays and plain values; nothing in it runs.

A pickle is a program: it names functions and calls them. Here a name is answered from
a table of stand-ins, and everything else is refused. Not even NumPy's own classes are
handed out: ``dtype.__setstate__`` believes any flags it is told, so that bytes can be
taken for pointers. The stand-ins only note what the pickle says; arrays are made from
the notes at the end, after their type, shape and size are checked.
"""

import io
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from mmfusion.utils.errors import MMFusionError

_DTYPE = re.compile(r"[<>=|]?(\?|[biufcSU]\d+|O\d*)")
_WHY = "only arrays, plain values and their containers are read from a pickle"


class UnsafePickleError(MMFusionError, ValueError):
    """A pickle asks for more than arrays and plain values, or is damaged."""


# Empty __slots__ everywhere: the BUILD opcode sets attributes on whatever it finds.
class _Dtype:
    """Description of a dtype in a pickle; :meth:`real` makes it, or refuses."""

    __slots__ = ("_order", "_text")

    def __init__(self, text: Any) -> None:
        if not isinstance(text, str) or not _DTYPE.fullmatch(text):
            raise UnsafePickleError(f"dtype {text!r:.80} is refused: {_WHY}")
        self._text, self._order = text.lstrip("<>=|"), "="

    def __setstate__(self, state: Any) -> None:
        plain = isinstance(state, tuple) and len(state) >= 5
        if not plain or state[2:5] != (None, None, None) or state[1] not in "<>=|":
            raise UnsafePickleError(f"a dtype with parts is refused: {_WHY}")
        self._order = state[1]

    def real(self) -> np.dtype:
        return np.dtype(self._order + self._text)


class _Array:
    """Description of an array in a pickle; :meth:`real` makes it, or refuses."""

    __slots__ = ("_state",)

    def __init__(self) -> None:
        self._state: tuple | None = None

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise UnsafePickleError("an array's state is malformed")
        self._state = state[-4:]

    def real(self, convert: Callable[[Any], Any]) -> np.ndarray:
        if self._state is None:
            raise UnsafePickleError("an array has no state")
        shape, dtype, fortran, data = self._state
        return _make_array(data, dtype, shape, "F" if fortran else "C", convert)


class _Tensor:
    """A rebuilt torch tensor, kept away from the opcodes until the end."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def real(self, convert: Callable[[Any], Any]) -> Any:
        return self._value


class _Storage:
    """A torch storage, read with ``weights_only=True``."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value


def _make_array(
    data: Any,
    dtype: Any,
    shape: Any,
    order: Literal["C", "F"],
    convert: Callable[[Any], Any],
) -> np.ndarray:
    """An array of its own memory, after every claim about it is checked."""
    if isinstance(shape, int):
        shape = (shape,)
    if (
        not isinstance(dtype, _Dtype)
        or not isinstance(shape, tuple)
        or not all(type(size) is int and size >= 0 for size in shape)
        or len(shape) > 32
    ):
        raise UnsafePickleError("an array's type or shape is malformed")
    real, count = dtype.real(), math.prod(shape)
    if real.hasobject:
        if not isinstance(data, list) or len(data) != count:
            raise UnsafePickleError("an array of objects is malformed")
        array = np.empty(count, dtype=object)
        for index, value in enumerate(data):
            array[index] = convert(value)
        return array.reshape(shape, order=order)
    if isinstance(data, str):  # Python 2 wrote bytes so
        data = data.encode("latin1")
    if not isinstance(data, (bytes, bytearray)) or len(data) != count * real.itemsize:
        size = len(data) if isinstance(data, (bytes, bytearray)) else type(data)
        raise UnsafePickleError(
            f"an array {real} of shape {shape} comes with {size} bytes; expected"
            f" {count * real.itemsize}"
        )
    if not len(data):
        return np.empty(shape, dtype=real)
    return np.frombuffer(data, dtype=real).reshape(shape, order=order).copy(order)


class _Call:
    """A function that a pickle may call, and cannot change: BUILD ends here."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: Any) -> None:
        raise UnsafePickleError(f"a state set on a function is refused: {_WHY}")


@_Call
def _ndarray(*args: Any) -> Any:
    """``numpy.ndarray``: only named, as the first argument of ``_reconstruct``."""
    raise UnsafePickleError(f"a direct call of numpy.ndarray is refused: {_WHY}")


@_Call
def _reconstruct(kind: Any, *placeholders: Any) -> _Array:
    """An array whose shape and type come with its state."""
    if kind is not _ndarray:
        raise UnsafePickleError(f"a subclass of ndarray is refused: {_WHY}")
    return _Array()


@_Call
def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    """An array as protocol 5 writes it."""
    array = _Array()
    array.__setstate__((shape, dtype, order == "F", data))
    return array


@_Call
def _scalar(dtype: Any, data: Any) -> Any:
    return _make_array(data, dtype, (1,), "C", _refuse_objects)[0]


@_Call
def _encode(text: Any, codec: Any) -> bytes:
    """``_codecs.encode(text, "latin1")``: how protocol 2 writes bytes."""
    if not isinstance(text, str) or codec not in ("latin1", "latin-1"):
        raise UnsafePickleError(f"codec {codec!r:.40} is refused: {_WHY}")
    return text.encode("latin1")


@_Call
def _empty_bytes() -> bytes:
    """``bytes()``: how protocol 2 writes b"". ``bytes(10**12)`` would fill memory."""
    return b""


@_Call
def _storage_from_bytes(data: Any) -> _Storage:
    """``torch.storage._load_from_bytes``, which itself would unpickle anything."""
    import torch

    try:
        value = torch.load(io.BytesIO(data), "cpu", weights_only=True)
    except Exception as error:  # whatever torch finds wrong with a stranger's bytes
        raise UnsafePickleError(f"a torch storage is refused: {error}") from None
    if not isinstance(value, torch.storage.TypedStorage):
        raise UnsafePickleError(f"a torch {type(value).__name__} is refused")
    return _Storage(value)


@_Call
def _rebuild_tensor(
    storage: Any, offset: Any, size: Any, stride: Any, *rest: Any
) -> _Tensor:
    """``torch._utils._rebuild_tensor_v2``, kept inside its storage."""
    import torch

    numbers = (offset, *size, *stride)
    if not isinstance(storage, _Storage) or len(size) != len(stride):
        raise UnsafePickleError("a torch tensor is malformed")
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise UnsafePickleError("a torch tensor has a malformed size")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    # len() and untyped() of a TypedStorage warn that it is deprecated
    dtype, untyped = storage._value.dtype, storage._value._untyped_storage
    count = untyped.nbytes() // dtype.itemsize
    if 0 not in size and last >= count:
        raise UnsafePickleError(
            f"a torch tensor reaches element {last} of a storage of {count}"
        )
    empty = torch.empty(0, dtype=dtype)
    return _Tensor(empty.set_(untyped, offset, tuple(size), tuple(stride)).clone())


def _refuse_objects(value: Any) -> Any:
    raise UnsafePickleError("a NumPy scalar of an object is refused")


def _table() -> dict[tuple[str, str], Any]:
    table: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): _ndarray,
        ("numpy", "dtype"): _Call(lambda text, *flags: _Dtype(text)),
        ("_codecs", "encode"): _encode,
        ("collections", "OrderedDict"): OrderedDict,
    }
    for core in ("numpy.core", "numpy._core"):  # before and from NumPy 2
        table[f"{core}.multiarray", "_reconstruct"] = _reconstruct
        table[f"{core}.multiarray", "scalar"] = _scalar
        table[f"{core}.numeric", "_frombuffer"] = _from_buffer
    for builtins in ("builtins", "__builtin__"):
        for kind in (set, frozenset, complex):
            table[builtins, kind.__name__] = kind
        table[builtins, "bytes"] = _empty_bytes
    return table


_PLAIN = _table()
_TORCH = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch.storage", "_load_from_bytes"): _storage_from_bytes,
}


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined]
    """Answers names from a table, and in no other way.

    The standard library's own Python version, as fast here: that in C keeps its memo in
    an array, and one opcode of six bytes makes it fill 32 GB.
    """

    def __init__(self, stream: io.BytesIO, table: Mapping) -> None:
        super().__init__(stream, encoding="latin1")
        self._table = table

    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return self._table[module_name, global_name]
        except KeyError:
            raise UnsafePickleError(
                f"it asks for {f'{module_name}.{global_name}'!r:.200}, which is"
                f" refused: {_WHY}"
            ) from None


class _Converter:
    """Replaces the stand-ins in nested containers by what they stand for.

    Objects are known by their id. Only objects of the pickle are looked up, never one
    made here, so an id that becomes free meanwhile is not mistaken for another.
    """

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}

    def __call__(self, value: Any) -> Any:
        if isinstance(value, (_Array, _Tensor, list, dict, tuple)):
            if id(value) not in self._done:
                self._done[id(value)] = value  # a container that holds itself
                self._done[id(value)] = self._convert(value)
            return self._done[id(value)]
        if isinstance(value, (set, frozenset)):
            return type(value)(self(item) for item in value)
        if isinstance(value, _Dtype):
            return value.real()
        if isinstance(value, (_Call, _Storage, type)):
            raise UnsafePickleError(f"it holds a bare {type(value).__name__}: {_WHY}")
        return value

    def _convert(self, value: Any) -> Any:
        if isinstance(value, (_Array, _Tensor)):
            return value.real(self)
        if isinstance(value, tuple):
            return tuple(self(item) for item in value)
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in list(items):
            value[key] = self(item)
        return value


def safe_loads(data: bytes, *, source: str = "pickle", with_torch: bool = False) -> Any:
    """Read a pickle that holds arrays, plain values and containers of them only.

    Read are None, bool, int, float, complex, str, bytes, list, tuple, dict,
    OrderedDict, set, frozenset, and NumPy's arrays, scalars and dtypes of numbers and
    text.

    Args:
        data: the pickle.
        source: name of the file, for errors.
        with_torch: read CPU tensors of torch, too.

    Raises:
        UnsafePickleError: it asks for anything else, which is named, or is damaged.
    """
    table = {**_PLAIN, **_TORCH} if with_torch else _PLAIN
    try:
        return _Converter()(_Unpickler(io.BytesIO(data), table).load())
    except UnsafePickleError as error:
        raise UnsafePickleError(f"{source} is refused: {error}") from None
    except Exception as error:  # opcodes in a wrong order raise about anything
        raise UnsafePickleError(
            f"{source} is not a readable pickle: {type(error).__name__}: {error}"
        ) from None


def safe_load(path: str, *, with_torch: bool = False) -> Any:
    """:func:`safe_loads` of a file; OSError where it cannot be opened."""
    with open(path, "rb") as stream:
        return safe_loads(stream.read(), source=path, with_torch=with_torch)
