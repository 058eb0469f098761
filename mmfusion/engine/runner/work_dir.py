"""The folder of a run: who uses it, what is in it, what can be continued."""

import fcntl
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmfusion.engine.runner.checkpoints import check_resumable
from mmfusion.utils.errors import CheckpointError, WorkDirError
from mmfusion.weights.files import peek_meta

FINISHED = "finished.json"
CONFIG_MARK = "# mmfusion wrote this when a run began: its config as it is run"
_LOCK = ".lock"


def resumable_checkpoints(
    work_dir: str | os.PathLike,
) -> tuple[list[tuple[Path, dict[str, Any]]], dict[Path, str]]:
    """The checkpoints of a folder with their ``meta``, and those that are damaged.

    Every byte of each is compared with its digest before its ``meta`` is believed.

    Returns:
        Whole ones, the newest first, by the time that is written in them; and paths
        that look like checkpoints and cannot be read, with the reason.
    """
    good, broken = [], {}
    folder = Path(work_dir)
    for path in sorted([*folder.glob("epoch_*.pth"), *folder.glob("iter_*.pth")]):
        try:
            meta = peek_meta(path)
            if meta is None or not meta.get("resumable"):
                continue
            check_resumable(meta, path)
        except CheckpointError as error:
            broken[path] = str(error)
            continue
        good.append((path, meta))
    good.sort(key=lambda pair: pair[1]["saved_at"], reverse=True)
    return good, broken


def check_some_whole(
    work_dir: str | os.PathLike, good: Sequence, broken: Mapping[Path, str]
) -> None:
    """Raise CheckpointError where a folder has checkpoints and all are damaged."""
    if broken and not good:
        reasons = "\n".join(f"  {reason}" for reason in broken.values())
        raise CheckpointError(
            f"no checkpoint of {work_dir} can be read; put back a copy of one, or"
            f" delete them to start again from nothing:\n{reasons}"
        )


def newest_checkpoint(
    work_dir: str | os.PathLike, logger: logging.Logger
) -> Path | None:
    """The newest checkpoint that is whole; None where there is none at all.

    The log names each that is damaged.

    Raises:
        CheckpointError: there are checkpoints and every one is damaged.
    """
    good, broken = resumable_checkpoints(work_dir)
    check_some_whole(work_dir, good, broken)
    for reason in broken.values():
        logger.warning(f"passed over: {reason}")
    return good[0][0] if good else None


def config_name(config: Config) -> str:
    """Name of the file with a run's config in its work folder."""
    return f"{Path(config.filename or 'config').stem}.py"


def read_finished(work_dir: str | os.PathLike) -> dict[str, Any] | None:
    """Content of ``finished.json``; None for a run that is not complete."""
    try:
        return json.loads((Path(work_dir) / FINISHED).read_text())
    except FileNotFoundError:
        return None


class WorkDirLock:
    """Keeps a second process out of a work folder while this one lives.

    The lock is the kernel's and ends with the process, however it ends; the file only
    says whose it is. Loader workers do not inherit it.

    Args:
        work_dir: made if it does not exist.
    """

    def __init__(self, work_dir: str | os.PathLike) -> None:
        try:
            Path(work_dir).mkdir(parents=True, exist_ok=True)
            self._fd = os.open(Path(work_dir) / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise WorkDirError(
                f"work folder {work_dir} cannot be made or written: {error.strerror} "
                f"({error.filename}); give another --work-dir"
            ) from error
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(self._fd, 32).decode(errors="replace").strip()
            os.close(self._fd)
            raise WorkDirError(
                f"process {owner or 'unknown'} is using {work_dir}; wait for it, end "
                "it, or give another --work-dir"
            ) from error
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())
