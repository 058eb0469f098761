"""The folder of a run: who uses it, what is in it, what can be continued."""

import fcntl
import logging
import os
import pprint
import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmfusion.engine.runner.checkpoints import check_resumable
from mmfusion.utils.errors import CheckpointError, WorkDirError
from mmfusion.utils.text_files import read_json
from mmfusion.weights.files import is_of_others, peek_meta

BEST, FINISHED = "best.pth", "finished.json"
CONFIG_MARK = "# mmfusion wrote this when a run began: its config as it is run"
_LOCK = ".lock"
_NAME = re.compile(r"(epoch|iter)_\d+\.pth")  # of a resumable checkpoint
_NOT_OURS = "was not written by a run of mmfusion"
_MOVE = "move it away, or give another --work-dir"


@dataclass
class Checkpoints:
    """The files of a work folder that have the name of a resumable checkpoint.

    Attributes:
        good: whole ones and their ``meta``, the newest first, by the time that is
            written in them.
        broken: damaged ones, and the reason.
        foreign: whole ones from which no run of ours can go on, and the reason.
    """

    good: list[tuple[Path, dict[str, Any]]] = field(default_factory=list)
    broken: dict[Path, str] = field(default_factory=dict)
    foreign: dict[Path, str] = field(default_factory=dict)


def config_text(config: Config) -> str:
    """A config as Python, with its keys in their own order.

    A neck reads its streams in the order of its config; MMEngine's ``pretty_text`` puts
    all keys into that of the alphabet.
    """
    return "".join(
        f"{key} = {pprint.pformat(value, width=88, sort_dicts=False)}\n"
        for key, value in config.to_dict().items()
    )


def find_checkpoints(work_dir: str | os.PathLike) -> Checkpoints:
    """Look at every ``epoch_N.pth`` and ``iter_N.pth`` of a folder.

    Every byte of each is compared with its digest before its ``meta`` is believed.
    """
    found = Checkpoints()
    for path in sorted(Path(work_dir).glob("*.pth")):
        if not _NAME.fullmatch(path.name):
            continue
        try:
            meta = _meta_of(path)
        except CheckpointError as error:
            if is_of_others(path):
                found.foreign[path] = _NOT_OURS
            else:
                found.broken[path] = str(error)
            continue
        if meta is None:
            found.foreign[path] = _NOT_OURS
            continue
        try:
            check_resumable(meta, path)
        except CheckpointError as error:
            found.foreign[path] = str(error)
            continue
        found.good.append((path, meta))
    found.good.sort(key=lambda pair: pair[1]["saved_at"], reverse=True)
    return found


def _meta_of(path: Path) -> dict[str, Any] | None:
    """``peek_meta``, which reads the whole file, once while it stays the same."""
    now = path.stat()
    return _peek(path, now.st_ino, now.st_size, now.st_mtime_ns)


@lru_cache(maxsize=64)
def _peek(path: Path, *identity: int) -> dict[str, Any] | None:
    return peek_meta(path)


def check_some_whole(work_dir: str | os.PathLike, found: Checkpoints) -> None:
    """Raise CheckpointError where a folder has checkpoints and all are damaged."""
    if found.broken and not found.good:
        reasons = "\n".join(f"  {reason}" for reason in found.broken.values())
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
    found = find_checkpoints(work_dir)
    check_some_whole(work_dir, found)
    for reason in found.broken.values():
        logger.warning(f"passed over: {reason}")
    return found.good[0][0] if found.good else None


def set_aside(path: Path, ending: str) -> Path:
    """Rename a file to ``<name>.<ending>``, which nothing replaces; the new path."""
    names = (path.with_name(f"{path.name}.{ending}{n or ''}") for n in count())
    target = next(name for name in names if not name.exists())
    path.rename(target)
    return target


def config_name(config: Config) -> str:
    """Name of the file with a run's config in its work folder."""
    return f"{Path(config.filename or 'config').stem}.py"


def best_meta(path: Path) -> dict[str, Any] | None:
    """``meta`` of a ``best.pth``; None where there is no such file.

    Raises:
        WorkDirError: the file is damaged, or no run of ours wrote it.
    """
    if not path.exists():
        return None
    try:
        meta = _meta_of(path)
    except CheckpointError as error:
        raise WorkDirError(f"{error}; {_MOVE}") from error
    if not (meta and meta.get("best")):
        raise WorkDirError(f"{path} {_NOT_OURS}; {_MOVE}")
    return meta


def read_finished(work_dir: str | os.PathLike) -> dict[str, Any] | None:
    """Content of ``finished.json``; None for a run that is not complete.

    Raises:
        WorkDirError: the file is damaged, or no run of ours wrote it.
    """
    path = Path(work_dir) / FINISHED
    if not path.exists():
        return None
    done = read_json(path, error_type=WorkDirError)
    if not (isinstance(done, dict) and {"epoch", "iter", "best"} <= done.keys()):
        raise WorkDirError(
            f"{path} {_NOT_OURS} (expected an object with epoch, iter and best);"
            f" {_MOVE}"
        )
    return done


def check_begin(folder: Path, config: Config, *, resumed: bool) -> None:
    """Refuse to train where something would be lost; a new run needs a folder for it.

    Raises:
        WorkDirError: as :func:`check_overwrites` and :func:`check_no_run`.
    """
    found = find_checkpoints(folder)
    check_overwrites(folder, config, found)
    if not resumed:
        check_no_run(folder, found)


def check_overwrites(folder: Path, config: Config, found: Checkpoints) -> None:
    """Refuse a work folder with files that a run would write and no run of ours wrote.

    Args:
        folder: the work folder.
        config: of the run; the name of its file counts.
        found: the checkpoints of the folder.

    Raises:
        WorkDirError: names each file.
    """
    foreign = dict(found.foreign)
    name = config_name(config)
    for path, is_ours in {
        folder / name: lambda text: text.startswith(CONFIG_MARK),
        folder / "last_checkpoint": lambda text: _NAME.fullmatch(Path(text).name),
        folder / "bad_samples.json": lambda text: re.match(
            r'\{\s*("(train|val|test)"|\})', text
        ),
    }.items():
        if path.exists() and not is_ours(_begin_of(path)):
            foreign[path] = _NOT_OURS
    if foreign:
        lines = "\n".join(f"  {path.name}: {why}" for path, why in foreign.items())
        raise WorkDirError(
            f"{folder} has files that this run would overwrite or delete, and that it"
            f" did not write; {_MOVE}:\n{lines}"
        )
    best_meta(folder / BEST)
    read_finished(folder)


def _begin_of(path: Path) -> str:
    """The first characters of a text file; '' of a folder."""
    if not path.is_file():
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(4096)


def check_no_run(folder: Path, found: Checkpoints) -> None:
    """Refuse to begin a run where another has left something.

    Raises:
        WorkDirError: names the files.
    """
    there = [path.name for path, _ in found.good] + [path.name for path in found.broken]
    there += [name for name in (BEST, FINISHED) if (folder / name).exists()]
    if there:
        raise WorkDirError(
            f"{folder} has {', '.join(there)} of a run, which a new one would"
            f" overwrite; {_MOVE}"
        )


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
        if not re.fullmatch(rb"(\d+\n)?", os.pread(self._fd, 64, 0)):
            os.close(self._fd)
            raise WorkDirError(f"{Path(work_dir) / _LOCK} {_NOT_OURS}; {_MOVE}")
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"{os.getpid()}\n".encode())
