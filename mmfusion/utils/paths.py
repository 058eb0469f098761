"""Paths that come from an annotation stay inside the data root; files appear whole.

An annotation file is data from a stranger: a path in it may point anywhere, and FFmpeg
would even open a URL or a pipe. Every such path goes through :func:`resolve_inside`.
"""

import contextlib
import errno
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from mmfusion.utils.errors import MMFusionError, WriteError

_MAX_PATH_BYTES = 4096  # Linux: PATH_MAX
_MAX_NAME_BYTES = 255  # Linux: NAME_MAX
_TEMP_SUFFIX = ".tmp"
_DAY = 24 * 3600.0  # seconds
_being_written: set[str] = set()  # by threads of this process
# `http://`, `concat:`, `subfile,,start,0:`, `C:` ...: what FFmpeg or Windows reads
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.,\-]*:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class UnsafePathError(MMFusionError, ValueError):
    """A path of an annotation leaves the data root, or is not a plain path."""


def unsafe_reason(path: object) -> str | None:
    """Reason why ``path`` is no plain relative path, by its text; None where it is.

    Args:
        path: relative path with forward slashes, as an annotation gives it.
    """
    if not isinstance(path, str) or not path:
        return "it is not a non-empty string"
    if _CONTROL.search(path):
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
    real_root = os.path.realpath(root)
    place = real_root
    for name in path.split("/"):
        if name not in ("", "."):
            place = os.path.join(place, name)
            if os.path.islink(place):
                break
    else:
        return place  # without links: it is inside
    real = os.path.realpath(os.path.join(root, path))
    _check_inside(real, (root, *link_roots), f"{what} is {path!r}")
    return real


def check_link(path: str, roots: Sequence[str]) -> None:
    """Refuse a file, found in a folder that may be read, that is a link out of there.

    Args:
        path: of the file; its folder is a resolved one.
        roots: the data root, and further folders to which a link may lead.

    Raises:
        UnsafePathError: the link leads out of them.
    """
    if os.path.islink(path):
        _check_inside(os.path.realpath(path), roots, f"the file {path!r}")


def _check_inside(real: str, roots: Sequence[str], told: str) -> None:
    for allowed in roots:
        real_root = os.path.realpath(allowed)
        if real == real_root or real.startswith(real_root.rstrip(os.sep) + os.sep):
            return
    raise UnsafePathError(
        f"{told}: a link leads out of {roots[0]!r}, to {real!r}; move the file, or name"
        " the folder that the link leads to in link_roots"
    )


class NotAFileError(MMFusionError, OSError):
    """A path to be written is there already, and no file."""


def check_writable_as_file(path: str | os.PathLike) -> None:
    """Refuse what a rename would replace, as ``/dev/null`` where root writes.

    Raises:
        NotAFileError: ``path`` is a folder, a device or a pipe, or a link to one.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # not there, or out of reach: writing says which
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "device or a pipe"
        raise NotAFileError(
            f"{os.fspath(path)!r} is a {kind}, which is not replaced; expected the "
            "name of a file"
        )


def write_atomic(
    path: str | os.PathLike,
    data: bytes | Callable[[BinaryIO], Any],
    *,
    sweep: bool = True,
) -> None:
    """Write ``path`` so that it is at any moment the old file or the new one, whole.

    The temporary file lies in the same folder, because a rename is atomic only inside
    one file system. An error leaves the old file as it was and removes the temporary;
    what a killed process left behind goes with the next write into that folder.

    Args:
        path: destination; its folder is made where it is missing.
        data: the content, or what writes it into the open binary file; on a full disk
            that is called again, to count.
        sweep: look for what killed processes left (of another host: a day ago), which
            reads the whole folder; False is for the one who writes 100,000 files there
            and has swept it before.

    Raises:
        NotAFileError: ``path`` is a folder, a device or a pipe.
        WriteError: the disk is full (the text has the bytes needed and free) or fails.
        OSError: the folder cannot be made, or written to.
    """
    target = Path(path)
    check_writable_as_file(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name}.{socket.gethostname()}.{os.getpid()}."
    handle, temporary = tempfile.mkstemp(_TEMP_SUFFIX, prefix, target.parent)
    _being_written.add(temporary)
    if sweep:
        # absolute, as the names in _being_written are
        _remove_stale_temps(Path(temporary).parent, os.fstat(handle).st_mtime)
    guard = _ErrorKeepingFile(os.fdopen(handle, "wb"))
    try:
        with guard.file as file:
            if callable(data):
                data(guard)  # type: ignore[arg-type]
            else:
                guard.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes it private
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            guard.file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        cause = error if guard.error is None else guard.error
        if isinstance(cause, OSError) and not isinstance(cause, MMFusionError):
            raise _write_error(target, cause, data) from error
        raise
    finally:
        _being_written.discard(temporary)
    _sync_folder(target.parent)


def _write_error(
    target: Path, cause: OSError, data: bytes | Callable[[BinaryIO], Any]
) -> WriteError:
    """The error of a file that could not be written; of a full disk, with sizes."""
    if cause.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return WriteError(f"cannot write {target}: {cause.strerror or cause}")
    counter = _CountingFile()
    counter.write(data) if isinstance(data, bytes) else data(counter)  # type: ignore
    free = shutil.disk_usage(target.parent).free
    return WriteError(
        f"no space to write {target}: it needs {counter.size} bytes and {free} are free"
        f" ({cause.strerror}); what was there before is untouched"
    )


class _CountingFile:
    """A file that only counts what is written to it."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.size += size
        return size

    def flush(self) -> None:
        pass


class _ErrorKeepingFile:
    """A binary file that remembers its OSError, which torch.save turns into another."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        try:
            self.file.flush()
        except OSError as error:
            self.error = error
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; some file systems cannot, which is no error."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _remove_stale_temps(folder: Path, now: float) -> None:
    """Delete what killed processes left in ``folder``.

    Args:
        folder: where :func:`write_atomic` writes.
        now: by the clock of its file system, seconds.
    """
    for temp in folder.glob(f".*.*{_TEMP_SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            if _is_stale(temp, now):
                temp.unlink()


def _is_stale(temp: Path, now: float) -> bool:
    """True if its process is no more, or has written nothing for a day.

    The process of another host, or of another container, cannot be asked.
    """
    parts = temp.name.rsplit(".", 3)
    if len(parts) < 4 or not parts[1].isdigit() or str(temp) in _being_written:
        return False
    if parts[0].endswith(f".{socket.gethostname()}"):
        pid = int(parts[1])
        if pid == os.getpid() or not is_alive(pid):  # ours: an earlier one's with it
            return True
    return now - temp.stat().st_mtime > _DAY


def is_alive(pid: int) -> bool:
    """True if a process of this host has that id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
