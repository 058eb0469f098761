"""Arrays of an npz; a file that is none says so, with the error of the caller."""

import io

import numpy as np
import pytest

from mmfusion.datasets.caches.npz_file import read_npz
from mmfusion.utils.errors import BoxError, SkeletonError


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_gives_every_array(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(npz(x=np.arange(3), name=np.str_("a")))
    found = read_npz(str(path), max_bytes=10_000, error_type=BoxError)
    assert found["x"].tolist() == [0, 1, 2] and str(found["name"]) == "a"


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
        read_npz(str(path), max_bytes=10_000, error_type=error_type)
