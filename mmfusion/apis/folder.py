"""Folders that appear whole or not at all, with a digest of each file.

``manifest.json`` lists every file beside it with its sha256, so that a changed byte, or
a file that a copy left out, is found before anything in the folder is believed.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmfusion.utils.errors import CheckpointError, InputError
from mmfusion.utils.paths import unsafe_reason, write_atomic
from mmfusion.utils.text_files import read_json

MANIFEST = "manifest.json"
FORMAT = 1


def check_new(out: str | os.PathLike) -> None:
    """Raise InputError unless there is nothing at ``out``, or an empty folder."""
    target = Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        what = "a folder that is not empty" if target.is_dir() else "a file"
        raise InputError(f"{out} is {what}; give another --out, or remove it")


@contextmanager
def new_folder(out: str | os.PathLike, kind: str) -> Iterator[Path]:
    """A folder to write into, which becomes ``out`` with its manifest at the end.

    Args:
        out: it must not exist yet, or be empty. kind: of its content, for the manifest.

    Raises:
        InputError: ``out`` is a file, or has something in it.
    """
    check_new(out)
    target = Path(out)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        yield temporary
        files = {
            path.relative_to(temporary).as_posix(): _sha256(path)
            for path in sorted(temporary.rglob("*"))
            if path.is_file()
        }
        content = dict(format=FORMAT, kind=kind, sha256=files)
        write_json(temporary / MANIFEST, content)
        temporary.chmod(0o755)  # mkdtemp makes it private
        os.replace(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_folder(folder: str | os.PathLike, kind: str) -> None:
    """Compare every file of a folder with its manifest.

    Args:
        folder: that :func:`new_folder` made. kind: that is expected.

    Raises:
        CheckpointError: the manifest is of another format or kind, or a file is
            missing or has other bytes than those that were written.
    """
    path = Path(folder) / MANIFEST
    manifest = read_json(path, error_type=CheckpointError)
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT:
        raise CheckpointError(
            f"{path} has format {found!r}, this version of mmfusion reads {FORMAT};"
            " export the model again, or use the version that wrote it"
        )
    files = manifest.get("sha256")
    if manifest.get("kind") != kind or not isinstance(files, dict):
        raise CheckpointError(
            f"{path} is of a {str(manifest.get('kind')):.40}, expected a {kind}"
        )
    for name, digits in files.items():
        _check_file(Path(folder), name, digits)


def _check_file(folder: Path, name: str, digits: Any) -> None:
    if reason := unsafe_reason(name):
        raise CheckpointError(f"{folder / MANIFEST} names {name!r:.80}: {reason}")
    path = folder / name
    if not path.is_file():
        raise CheckpointError(
            f"{path} is missing, which {MANIFEST} lists; copy it again"
        )
    if _sha256(path) != digits:
        raise CheckpointError(
            f"{path} is damaged or was changed: its sha256 is not that of {MANIFEST};"
            " copy or export it again"
        )


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object as indented JSON; tuples as ``{"tuple": [...]}``."""
    text = json.dumps(_packed(content), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(path, f"{text}\n".encode())


def _packed(value: Any) -> Any:
    """JSON has no tuples, and transforms tell them from lists."""
    if isinstance(value, Mapping):
        return {key: _packed(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return {"tuple": [_packed(item) for item in value]}
    if isinstance(value, list):
        return [_packed(item) for item in value]
    return value


def read_data(path: Path) -> Any:
    """Content of what :func:`write_json` wrote.

    Raises:
        CheckpointError: it is not there, or not JSON.
    """
    return _unpacked(read_json(path, error_type=CheckpointError))


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"tuple"} and isinstance(value["tuple"], list):
        return tuple(_unpacked(item) for item in value["tuple"])
    return {key: _unpacked(item) for key, item in value.items()}
