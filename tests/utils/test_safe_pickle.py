"""A pickle of arrays is read; any other is refused, and nothing in it runs."""

import collections
import contextlib
import fractions
import io
import os
import pickle
import resource
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmfusion.utils.safe_pickle import UnsafePickleError, safe_load, safe_loads

PLAIN = {
    "none": None,
    "text": "ü",
    "bytes": b"\x00\xff",
    "no bytes": b"",
    "set": {1, 2},
    "complex": 1j,
    "ordered": collections.OrderedDict(a=[1, (2.5, True)]),
    "float": np.arange(6.0).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6, dtype="f2").reshape(2, 3)),
    "big endian": np.arange(3, dtype=">i4"),
    "bool": np.array([True, False]),
    "words": np.array(["ab", "c"]),
    "empty": np.zeros((0, 3), "f4"),
    "zero-d": np.array(3),
    "objects": np.array([1, "a", None], dtype=object),
    "scalar": np.float32(3.5),
    "dtype": np.dtype("f4"),
}


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back_equal(protocol: int) -> None:
    found = safe_loads(pickle.dumps(PLAIN, protocol))
    assert list(found) == list(PLAIN)
    for key, value in PLAIN.items():
        assert type(found[key]) is type(value)
        np.testing.assert_equal(found[key], value)
        if isinstance(value, np.ndarray):
            assert found[key].dtype == value.dtype
            assert found[key].flags.writeable


def test_shared_and_circular_values_keep_their_identity() -> None:
    array, ring = np.arange(3), []
    ring.append(ring)
    found = safe_loads(pickle.dumps([array, array, ring]))
    assert found[0] is found[1]
    assert found[2][0] is found[2]


def test_real_pose_annotation_is_read(shared_data: Path) -> None:
    path = shared_data / "videos/mmaction2/tests_data_annotations_sample.pkl"
    found = safe_load(str(path))
    assert len(found["annotations"]) == len(found["split"]["train"]) == 100
    first = found["annotations"][0]
    assert first["frame_inds"].shape == first["box_score"].shape == (260,)
    assert (first["label"], first["total_frames"]) == (325, 300)


class _Reduce:
    """Pickles as a call of ``function(*args)``."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple:
        return self.call


def _touch(path: Path) -> str:
    return f"open({str(path)!r}, 'w').close()"


def _hostile(trap: Path) -> dict[str, bytes]:
    """Pickles that make the file ``trap`` when they are believed."""
    touch, shell = _touch(trap), f"touch {trap}"
    name = np.dtype("f8")
    python = f"__import__('os').system({shell!r})"
    return {
        "os.system": pickle.dumps(_Reduce(os.system, shell)),
        "posix.system, protocol 0": f"cposix\nsystem\n(S'{shell}'\ntR.".encode(),
        "exec": pickle.dumps(_Reduce(exec, touch)),
        "eval": pickle.dumps(_Reduce(eval, python)),
        "getattr": pickle.dumps(_Reduce(getattr, "", "format")),
        "getattr chain": b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93"
        b"cnumpy\nndarray\n\x8c\x0b__reduce_ex\x86R.",
        "dotted global": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__new__\x93.",
        "module global": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        "import": pickle.dumps(_Reduce(__import__, "antigravity")),
        "inst": f"(S'{shell}'\nios\nsystem\n.".encode(),
        "obj": f"(cos\nsystem\nS'{shell}'\no.".encode(),
        "newobj": b"\x80\x02cfractions\nFraction\n)\x81.",
        "persistent id": b"\x80\x04\x8c\x01aQ.",
        "extension registry": b"\x80\x02\x82\x01.",
        "numpy's runstring": f"cnumpy.testing\nrunstring\n(S'{touch}'\n}}tR.".encode(),
        "numpy's load": pickle.dumps(_Reduce(np.load, str(trap))),
        "numpy's fromfile": pickle.dumps(_Reduce(np.fromfile, "/etc/passwd")),
        "numpy's memmap": pickle.dumps(_Reduce(np.memmap, str(trap), name, "w+")),
        "pickle in a pickle": pickle.dumps(_Reduce(pickle.loads, b"cos\nsystem\n.")),
        "codecs": pickle.dumps(_Reduce(__import__("_codecs").encode, "a", "rot13")),
    }


@pytest.mark.parametrize("name", list(_hostile(Path("x"))))
def test_hostile_pickle_is_refused(tmp_path: Path, name: str) -> None:
    trap = tmp_path / "trap"
    data = _hostile(trap)[name]
    for with_torch in (False, True):
        with pytest.raises(UnsafePickleError):
            safe_loads(data, with_torch=with_torch)
    assert not trap.exists()


def test_error_names_file_and_global(tmp_path: Path) -> None:
    path = tmp_path / "pose.pkl"
    path.write_bytes(pickle.dumps([fractions.Fraction(1, 2)]))
    with pytest.raises(UnsafePickleError, match=r"pose\.pkl .*'fractions\.Fraction'"):
        safe_load(str(path))


def _array(dtype: np.dtype, shape: tuple, data: Any) -> bytes:
    """A pickled array with what NumPy itself would never write."""
    buffer = io.BytesIO()
    pickler = pickle._Pickler(buffer, 2)
    reconstruct = np.zeros(1).__reduce__()[0]
    buffer.write(b"\x80\x02")
    pickler.save(reconstruct)
    pickler.save((np.ndarray, (0,), b"b"))
    buffer.write(b"R")
    pickler.save((1, shape, dtype, False, data))
    buffer.write(b"b.")
    return buffer.getvalue()


def test_array_as_numpy_writes_it_is_the_control() -> None:
    data = _array(np.dtype("f4"), (2,), struct.pack("2f", 1, 2))
    assert safe_loads(data).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("dtype", "shape", "data"),
    [
        (np.dtype("f8"), (10**12,), b"\0" * 8),
        (np.dtype("f8"), (2**63, 2), b""),
        (np.dtype("f8"), (-1,), b"\0" * 8),
        (np.dtype("f8"), (1,), b"\0" * 7),
        (np.dtype("f8"), (1,), [1.0]),
        (np.dtype("O"), (1,), b"\x41" * 8),
        (np.dtype("O"), (2,), [1]),
        (np.dtype([("a", "O")]), (1,), b"\x41" * 8),
        (np.dtype(("f4", (2,))), (1,), b"\0" * 8),
        (np.dtype("M8[s]"), (1,), b"\0" * 8),
    ],
    ids=lambda value: repr(value)[:16],
)
def test_lying_array_is_refused(dtype: np.dtype, shape: tuple, data: Any) -> None:
    with pytest.raises(UnsafePickleError):
        safe_loads(_array(dtype, shape, data))


def test_state_cannot_be_set_on_what_names_stand_for() -> None:
    named = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00"
    for slot in (b"__call__", b"_function"):
        size = len(slot).to_bytes(4, "little")
        with pytest.raises(UnsafePickleError):
            safe_loads(named + b"N}X" + size + slot + b"K\x01s\x86b.")
    assert safe_loads(pickle.dumps(np.arange(2))).tolist() == [0, 1]


def test_memo_bomb_fills_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert safe_loads(b"\x80\x02Nr\xff\xff\xff\x7f.") is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_bare_names_and_nesting_bombs_are_refused() -> None:
    with pytest.raises(UnsafePickleError):
        safe_loads(b"\x80\x02cnumpy\nndarray\n.")
    with pytest.raises(UnsafePickleError):
        safe_loads(b"\x80\x02" + b"(" * 10**5 + b"l" * 10**5 + b".")


@given(st.binary(max_size=60), st.integers(0, 400), st.integers(0, 255))
def test_damaged_pickle_is_one_kind_of_error(data: bytes, at: int, byte: int) -> None:
    good = bytearray(pickle.dumps([np.arange(3), {"a": 1}], 2))
    good[at % len(good)] = byte
    for damaged in (data, bytes(good), bytes(good[:at])):
        with contextlib.suppress(UnsafePickleError):
            safe_loads(damaged)


def test_torch_tensors_only_on_request() -> None:
    tensors = {"a": torch.arange(12.0).reshape(3, 4)[:, 1:], "b": [torch.ones(1).int()]}
    data = pickle.dumps(tensors)
    with pytest.raises(UnsafePickleError, match="torch"):
        safe_loads(data)
    found = safe_loads(data, with_torch=True)
    torch.testing.assert_close(found, tensors, rtol=0, atol=0)


def test_tensor_outside_its_storage_is_refused() -> None:
    rebuild, (storage, *_) = torch.zeros(2).__reduce_ex__(2)
    assert rebuild.__name__ == "_rebuild_tensor_v2"
    hooks: dict = collections.OrderedDict()
    lying = _Reduce(rebuild, storage, 0, (10**6,), (1,), False, hooks)
    with pytest.raises(UnsafePickleError, match="storage of 2"):
        safe_loads(pickle.dumps(lying), with_torch=True)


def test_hostile_storage_bytes_are_refused(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    inner = pickle.dumps(_Reduce(os.system, f"touch {trap}"), 2)
    hostile = _Reduce(torch.storage._load_from_bytes, inner)
    with pytest.raises(UnsafePickleError):
        safe_loads(pickle.dumps(hostile), with_torch=True)
    assert not trap.exists()
