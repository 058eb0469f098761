"""Read an npz of plain arrays that a stranger may have written."""

import zipfile
import zlib

import numpy as np

from mmfusion.utils.errors import MediaError


def read_npz(
    path: str, *, max_bytes: int, error_type: type[MediaError]
) -> dict[str, np.ndarray]:
    """Every array of the file.

    Args:
        path: of the npz.
        max_bytes: how much it may unpack to; a zip may claim any size.
        error_type: what to raise.

    Raises:
        MediaError: of that type; the file is too large, no npz, or holds objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > max_bytes:
            raise error_type(path, f"{size} bytes unpacked; the limit is {max_bytes}")
        # np.load leaves a file that it opened itself open where it fails
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except MediaError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = f"not a readable npz of plain arrays ({error})"
        raise error_type(path, reason) from error
