"""Weight files: found, fetched, read without running anything, unwrapped.

Files are read as safetensors or by ``torch.load(weights_only=True)``; there is no other
way and no fallback, whatever a file asks for.
"""

import argparse
import hashlib
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import torch
from torch import Tensor

from mmfusion.utils.errors import CheckpointError

HUB, WEB = "hf://", ("https://", "http://")
# what the authors' training scripts wrap their weights in, outermost first
CONTAINERS = ("state_dict", "model_state", "model", "module")
# what published training checkpoints hold beside tensors: options and best accuracies
_scalar = np.float64(0).__reduce__()[0]
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    _scalar,
    (_scalar, "numpy.core.multiarray.scalar"),  # its name before NumPy 2
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")),
]


def fetch(
    source: str, *, sha256: str | None = None, revision: str | None = None
) -> Path:
    """The local file of a checkpoint, downloaded once into a cache where it is remote.

    Args:
        source: a path, ``hf://<owner>/<repository>/<file>`` (cached by huggingface_hub)
            or ``https://...`` (cached where torch.hub keeps its files, by default
            ``~/.cache/torch/hub/checkpoints``). It may end in ``#sha256=...``.
        sha256: what the file must have, 64 hexadecimal digits; required for https.
        revision: commit, tag or branch on the hub; ``main`` if None.

    Raises:
        CheckpointError: there is no such file, it cannot be fetched, or its checksum is
            another; the message says what to do.
    """
    source, marker, digits = source.partition("#sha256=")
    sha256 = digits if marker else sha256
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise CheckpointError(f"sha256 is {sha256!r}, expected 64 hexadecimal digits")
    if source.startswith(HUB):
        path = _from_hub(source, revision)
    elif source.startswith(WEB):
        path = _from_web(source, sha256)
    else:
        path = Path(source)
        if not path.is_file():
            raise CheckpointError(f"checkpoint {source} does not exist")
    if sha256 is not None:
        _check_sha256(path, sha256)
    return path


def _check_sha256(path: Path, expected: str) -> None:
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected.lower():
        raise CheckpointError(
            f"{path} has sha256 {found}, expected {expected.lower()}: it is another"
            " file, or damaged. Remove it to fetch it again, or correct sha256"
        )


def _from_hub(source: str, revision: str | None) -> Path:
    parts = source.removeprefix(HUB).split("/")
    if len(parts) < 3 or not all(parts):
        raise CheckpointError(
            f"{source} is not of the form hf://<owner>/<repository>/<file>"
        )
    repository, name = "/".join(parts[:2]), "/".join(parts[2:])
    from huggingface_hub import hf_hub_download  # slow to import

    try:
        return Path(hf_hub_download(repository, name, revision=revision))
    except Exception as error:  # its errors have no common base but Exception
        reason = " ".join(str(error).split())[:300]
        pinned = f" --revision {revision}" if revision else ""
        raise CheckpointError(
            f"{source} cannot be fetched: {type(error).__name__}: {reason}. Where there"
            f" is a network, run: hf download {repository} {name}{pinned}; or give the"
            " path of the file"
        ) from error


def _from_web(source: str, sha256: str | None) -> Path:
    if sha256 is None:
        raise CheckpointError(
            f"{source}: a download needs its sha256, so that it is the file you mean:"
            " init_cfg=dict(type='Pretrained', checkpoint=..., sha256='...')"
        )
    folder = Path(torch.hub.get_dir(), "checkpoints")
    # the checksum in the name: two files of one name never meet
    name = f"{sha256.lower()[:16]}-{Path(urlsplit(source).path).name or 'checkpoint'}"
    path = folder / name
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(source, str(path), hash_prefix=sha256.lower())
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{source} cannot be fetched: {type(error).__name__}: {reason}. Put the"
            f" file into {path}, or give its path"
        ) from error
    return path


def load_checked(path: str | os.PathLike, map_location: str = "cpu") -> dict[str, Any]:
    """Read a checkpoint without running anything that is in it.

    Args:
        path: a ``.safetensors`` file, or one written by ``torch.save``.
        map_location: device of the tensors.

    Returns:
        The dict in the file.

    Raises:
        CheckpointError: the file is missing, damaged, or holds more than tensors and
            plain values; such a file is refused, and nothing in it has run.
    """
    file = Path(path)
    if not file.is_file():
        what = "is not a file" if file.exists() else "does not exist"
        raise CheckpointError(f"checkpoint {file} {what}")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file, device=map_location)
        check_archive(file)
        with torch.serialization.safe_globals(_HARMLESS):
            loaded = torch.load(file, map_location=map_location, weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(_refusal(file, error)) from error
    if not isinstance(loaded, dict):
        raise CheckpointError(
            f"checkpoint {file} holds a {type(loaded).__qualname__}, expected a dict"
        )
    return loaded


def check_archive(path: str | os.PathLike) -> None:
    """Compare the checksums in a ``torch.save`` file: torch itself does not."""
    if not zipfile.is_zipfile(path):
        return  # the format before torch 1.6, or damaged: torch.load says which
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:
        raise CheckpointError(f"checkpoint {path} is damaged: {error}") from error
    if damaged is not None:
        raise CheckpointError(f"checkpoint {path} is damaged: checksum of {damaged}")


def _refusal(path: Path, error: Exception) -> str:
    """One line for a file that torch or safetensors did not read."""
    reason = " ".join(str(error).split()) or type(error).__name__
    for marker in ("Unsupported global: ", "Unsupported class ", "Trying to "):
        if marker in reason:
            what = reason[reason.index(marker) :].split(". ")[0].split(" was not")[0]
            return (
                f"checkpoint {path} is refused, nothing in it was run: it asks for "
                f"more than tensors and plain values ({what[:160]})"
            )
    # torch's own text begins with the advice to read such a file without safety
    reason = reason.rpartition("WeightsUnpickler error: ")[2].split(" Check the ")[0]
    kind = type(error).__name__
    return f"checkpoint {path} is damaged or not a checkpoint: {kind}: {reason[:200]}"


def peek_meta(path: str | os.PathLike) -> dict[str, Any]:
    """The ``meta`` dict of a checkpoint of ours, its tensors left on the disk."""
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return loaded["meta"]
    except Exception as error:
        raise CheckpointError(_refusal(Path(path), error)) from error


def read_tensors(
    source: str, *, sha256: str | None = None, revision: str | None = None
) -> dict[str, Tensor]:
    """The tensors of a checkpoint by their names in it; see :func:`fetch`."""
    return unwrap(load_checked(fetch(source, sha256=sha256, revision=revision)), source)


def unwrap(content: Mapping[str, Any], what: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint, taken out of what training scripts wrap them in.

    Args:
        content: what the file holds. what: its name, for the error.

    Raises:
        CheckpointError: there are no tensors in it.
    """
    inner: Any = content
    for name in CONTAINERS:
        if isinstance(inner, Mapping) and isinstance(inner.get(name), Mapping):
            inner = inner[name]
    tensors = {key: value for key, value in inner.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"{what} holds no tensors, only {sorted(content)[:12]}")
    if all(key.startswith("module.") for key in tensors):  # DistributedDataParallel
        tensors = {key[len("module.") :]: value for key, value in tensors.items()}
    return tensors
