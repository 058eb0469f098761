"""Paths that come from an annotation stay inside the data root; files appear whole.

An annotation file is data from a stranger: a path in it may point anywhere, and FFmpeg
would even open a URL or a pipe. Every such path goes through :func:`resolve_inside`.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Sequence

_MAX_PATH_BYTES = 4096  # Linux: PATH_MAX
_MAX_NAME_BYTES = 255  # Linux: NAME_MAX
# `http://`, `concat:`, `subfile,,start,0:`, `C:` ...: what FFmpeg or Windows reads
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.,\-]*:")


class UnsafePathError(ValueError):
    """A path of an annotation leaves the data root, or is not a plain path."""


def unsafe_reason(path: object) -> str | None:
    """Why ``path`` is no plain relative path, by its text alone; None where it is.

    Args:
        path: relative path with forward slashes, as an annotation gives it.
    """
    if not isinstance(path, str) or not path:
        return "it is not a non-empty string"
    if any(ord(char) < 32 or ord(char) == 127 for char in path):
        return "it has a control character"
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    if len(encoded) > _MAX_PATH_BYTES:
        return f"it is {len(encoded)} bytes long, over {_MAX_PATH_BYTES}"
    if "\\" in path:
        return "it has a backslash (write folders with /)"
    if _SCHEME.match(path):
        return "it begins like a URL, a protocol or a drive"
    if path.startswith("/"):
        return "it is absolute"
    names = path.split("/")
    if ".." in names:
        return "it has '..'"
    if len(encoded) > _MAX_NAME_BYTES and any(
        len(name.encode()) > _MAX_NAME_BYTES for name in names
    ):
        return f"one of its names is over {_MAX_NAME_BYTES} bytes"
    return None


def resolve_inside(
    root: str, path: str, *, what: str = "path", link_roots: Sequence[str] = ()
) -> str:
    """The absolute path of ``path`` under ``root``, links resolved.

    Args:
        root: folder that must hold the result.
        path: relative path; it need not exist.
        what: name of the value in the error, as ``"video of record 'a'"``.
        link_roots: further folders to which a symbolic link may lead.

    Raises:
        UnsafePathError: ``path`` is not a plain relative path, or a link leads out.
    """
    reason = unsafe_reason(path)
    if reason is not None:
        shown = path if len(str(path)) < 200 else f"{str(path)[:200]}..."
        raise UnsafePathError(
            f"{what} is {shown!r}: {reason}; expected a relative path inside {root!r}"
        )
    real = os.path.realpath(os.path.join(root, path))
    for allowed in (root, *link_roots):
        real_root = os.path.realpath(allowed)
        if real == real_root or real.startswith(real_root.rstrip(os.sep) + os.sep):
            return real
    raise UnsafePathError(
        f"{what} is {path!r}: a link leads out of {root!r}, to {real!r}; move the"
        " file, or name the folder that the link leads to in link_roots"
    )


def write_atomic(path: str, data: bytes) -> None:
    """Write ``data`` so that ``path`` is at any moment the old file or the new one.

    The temporary file lies in the same folder, because a rename is atomic only inside
    one file system. An error leaves the old file as it was and removes the temporary.
    """
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(
        dir=folder, prefix=f".{os.path.basename(path)}.", suffix=".tmp"
    )
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes files only their owner can read; give the usual mode
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Make the rename itself durable; some file systems cannot, which is no error."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
