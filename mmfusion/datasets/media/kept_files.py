"""Files made from a video once, to save time; each may be deleted at any time."""

import hashlib
import logging
import os
from collections.abc import Callable
from typing import Any, BinaryIO

from mmengine.logging import print_log

from mmfusion.utils.paths import write_atomic


def kept_name(video: str, made: object, kind: str = "") -> str:
    """Name of a file, without its suffix; another one when the video changes.

    Args:
        video: path of it.
        made: what else decides the content, such as the format's number.
        kind: for who looks into the folder.

    Raises:
        OSError: the video is gone.
    """
    stat = os.stat(video)
    told = f"{os.path.realpath(video)}\n{stat.st_mtime_ns} {stat.st_size} {made}"
    digest = hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    stem = os.path.splitext(os.path.basename(video))[0][:100]
    return f"{stem}{kind}-{digest}"


class KeptFiles:
    """Files of one kind, in folders of a limited size.

    Args:
        cost: what it means that a file is not kept, for the log.
    """

    def __init__(self, cost: str) -> None:
        self._cost = cost
        self._swept: set[str] = set()
        self._told: set[str] = set()

    def has_room(self, folder: str, most_bytes: int) -> bool:
        """True if the folder holds no more than that; else the log says so, once."""
        if _bytes_in(folder) <= most_bytes:
            return True
        self.tell(f"{self._cost}: {folder} holds over {most_bytes >> 20} MiB")
        return False

    def write(self, path: str, data: bytes | Callable[[BinaryIO], Any]) -> None:
        """Write a file whole; where that cannot be, the log says so, once.

        The first time in a process, the folder is swept of what killed ones left.
        """
        folder = os.path.dirname(path)
        sweep = folder not in self._swept
        self._swept.add(folder)
        try:
            write_atomic(path, data, sweep=sweep)
        except OSError as error:
            self.tell(f"{self._cost}: cannot write {folder} ({error})")

    def tell(self, text: str) -> None:
        """Log a warning, once in a process."""
        if text not in self._told:
            self._told.add(text)
            print_log(text, "current", logging.WARNING)


def _bytes_in(folder: str) -> int:
    try:
        return sum(entry.stat().st_size for entry in os.scandir(folder))
    except OSError:
        return 0
