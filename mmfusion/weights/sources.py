"""From what a config names to a file on this machine, and to the tensors in it."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor

from mmfusion.utils.errors import CheckpointError

HUB, WEB = "hf://", ("https://", "http://")
# what the authors' training scripts wrap their weights in, outermost first
CONTAINERS = ("state_dict", "model_state", "model", "module")


def fetch(
    source: str, *, sha256: str | None = None, revision: str | None = None
) -> Path:
    """The local file of a checkpoint, downloaded once into a cache where it is remote.

    Args:
        source: a path, ``hf://<owner>/<repository>/<file>`` (cached by huggingface_hub)
            or ``https://...`` (cached in ``$MMFUSION_CACHE/checkpoints``, else in
            ``~/.cache/mmfusion/weights``). It may end
            in ``#sha256=...``.
        sha256: what the file must have, 64 hexadecimal digits; required for https.
        revision: commit, tag or branch on the hub; ``main`` if None.

    Raises:
        CheckpointError: there is no such file, it cannot be fetched, or its checksum is
            another; the message says what to do.
    """
    source, marker, digits = source.partition("#sha256=")
    sha256 = digits if marker else sha256
    if sha256 is not None and not _is_sha256(sha256):
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


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and set(text.lower()) <= set("0123456789abcdef")


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
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise CheckpointError(
            f"{source} needs huggingface_hub: pip install -r requirements/optional.txt"
        ) from error
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
    folder = _cache_folder()
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


def _cache_folder() -> Path:
    root = os.environ.get("MMFUSION_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "mmfusion"
    )
    return Path(root) / "checkpoints"


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
