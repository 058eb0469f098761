"""Arrays of an npz; a file that is none says so, with the error of the caller."""

import io
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from mmfusion.utils.errors import BoxError, SkeletonError
from mmfusion.utils.npz_file import read_npz, read_remembered


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_gives_every_array(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(npz(x=np.arange(3), name=np.str_("a")))
    found = read_npz(str(path), max_bytes=10_000, error=BoxError)
    assert found["x"].tolist() == [0, 1, 2] and str(found["name"]) == "a"


def hostile(kind: str) -> bytes:
    """A file that claims what it does not hold."""
    whole = npz(x=np.arange(3.0))
    header = struct.Struct("<6s2BH")  # magic, version, length of the text
    if kind == "terabytes":
        stored = io.BytesIO()
        np.savez(stored, x=np.zeros((1111, 3), "f4"))
        # the same length: the zip stays whole but for the checksum
        return stored.getvalue().replace(b"(1111, 3), ", b"(10**9, 9),", 1)
    if kind == "huge shape":
        text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d, %d)}\n"
        text %= (10**6, 10**6)
        array = header.pack(b"\x93NUMPY", 1, 0, len(text)) + text + bytes(24)
        return zipped("x.npy", array)
    if kind == "twice":
        return zipped("x.npy", b"1", "x.npy", b"2")
    if kind == "no array":
        return zipped("x.txt", b"1")
    if kind == "swollen":  # 100 MB claimed of what little is there
        place = whole.index(b"PK\x01\x02") + 24
        return whole[:place] + struct.pack("<I", 10**8) + whole[place + 4 :]
    content = bytearray(whole)
    for mark, flags, method in ((b"PK\x03\x04", 6, 8), (b"PK\x01\x02", 8, 10)):
        place = whole.index(mark)
        if kind == "encrypted":
            content[place + flags] |= 1
        else:
            content[place + method] = 77  # no such compression
    return bytes(content)


def zipped(*members):
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the name that comes twice
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in zip(members[::2], members[1::2], strict=True):
                archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("terabytes", ""),
        ("huge shape", "claims float64 .*, 8000000000000 bytes, and has 24"),
        ("twice", "an array is there twice"),
        ("no array", "'x.txt' in it is no array"),
        ("swollen", "array 'x' claims 100000000 bytes of"),
        ("encrypted", "array 'x' is encrypted or of the compression"),
        ("unknown compression", "of the compression 77"),
    ],
)
def test_a_claim_is_compared_with_what_is_there(kind, message, tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(hostile(kind))
    tracemalloc.start()
    with pytest.raises(SkeletonError, match=rf"a\.npz'.*{message}"):
        read_npz(str(path), max_bytes=2**31, error=SkeletonError)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_every_cut_and_every_flipped_bit_is_told_or_harmless(tmp_path):
    array, path = np.arange(40.0).reshape(5, 8), tmp_path / "a.npz"
    whole = npz(x=array)
    rng = np.random.default_rng(0)
    cuts = [whole[:size] for size in range(0, len(whole), 7)]
    flips = [bytearray(whole) for _ in range(150)]
    for content in flips:
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    for content in cuts + flips:
        path.write_bytes(content)
        try:
            found = read_npz(str(path), max_bytes=2**20, error=SkeletonError)
        except SkeletonError:
            continue
        assert [item.tolist() for item in found.values()] == [array.tolist()]


def test_the_last_files_are_remembered_until_they_change(tmp_path):
    path, calls = tmp_path / "a.npz", []

    def parse(path, *args):
        calls.append(args)
        return len(calls)

    path.write_bytes(b"1")
    for args in [(), (), ("m",)]:
        read_remembered(str(path), parse, *args, error=SkeletonError)
    path.write_bytes(b"22")
    assert read_remembered(str(path), parse, error=SkeletonError) == 3
    assert calls == [(), ("m",), ()]
    for name in ("none.npz", "a\0b"):
        with pytest.raises(SkeletonError, match="the file does not exist"):
            read_remembered(str(tmp_path / name), parse, error=SkeletonError)


@pytest.mark.parametrize("error_type", [BoxError, SkeletonError])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable npz"),
        (npz(x=np.arange(3))[:-30], "not a readable npz"),
        (npz(x=np.array([{}], dtype=object)), "not a readable npz of plain arrays"),
        (npz(x=np.zeros(5_000)), "40.* bytes unpacked; the limit is 10000"),
    ],
    ids=["empty", "cut", "objects", "unpacks to much"],
)
def test_says_what_is_wrong(content, message, error_type, tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(error_type, match=message):
        read_npz(str(path), max_bytes=10_000, error=error_type)
