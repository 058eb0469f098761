"""Weight files: found, fetched, read without running anything, unwrapped.

Files are read as safetensors or by ``torch.load(weights_only=True)``; there is no other
way and no fallback, whatever a file asks for. Those that we write hold a digest of
their own bytes, which is compared before anything in them is believed: it comes and
goes with the file, wherever a person copies it, and no kill can separate the two.
"""

import argparse
import hashlib
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from mmfusion.utils.errors import CheckpointError

HUB, WEB = "hf://", ("https://", "http://")
TIMEOUT = 60.0  # seconds
# what the authors' training scripts wrap their weights in, outermost first
CONTAINERS = ("state_dict", "model_state", "model", "module")
JOINED = ("trunk", "heads")  # Omnivore's: one model in two dicts
# what published training checkpoints hold beside tensors: options and best accuracies
_scalar = np.float64(0).__reduce__()[0]
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    _scalar,
    (_scalar, "numpy.core.multiarray.scalar"),  # its name before NumPy 2
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")),
]


# the digest of a file that we write: 64 digits behind this tag
_TAG, _NO_DIGITS = b"sha256 of this file with zeros for these digits: ", b"0" * 64
_KEY = "mmfusion"  # of the metadata of our safetensors
_WINDOW = 1 << 17  # bytes at the end or the beginning in which it is looked for
_END_SIZE = 22  # bytes of a zip's last record without its comment
_CHUNK = 1 << 20


def fetch(
    source: str,
    *,
    sha256: str | None = None,
    revision: str | None = None,
    timeout: float = TIMEOUT,
) -> Path:
    """The local file of a checkpoint, downloaded once into a cache where it is remote.

    Args:
        source: a path, ``hf://<owner>/<repository>/<file>`` (cached by huggingface_hub)
            or ``https://...`` (cached where torch.hub keeps its files, by default
            ``~/.cache/torch/hub/checkpoints``). It may end in ``#sha256=...``.
        sha256: what the file must have, 64 hexadecimal digits; required for https.
        revision: commit, tag or branch on the hub; ``main`` if None.
        timeout: seconds that a server may take without sending anything.

    Raises:
        CheckpointError: there is no such file, it cannot be fetched, or its checksum is
            another; the message says what to do.
    """
    source, marker, digits = source.partition("#sha256=")
    sha256 = digits if marker else sha256
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise CheckpointError(f"sha256 is {sha256!r}, expected 64 hexadecimal digits")
    if source.startswith(HUB):
        path = _from_hub(source, revision, timeout)
    elif source.startswith(WEB):
        from mmfusion.weights.downloads import from_web  # what few runs need

        path = from_web(source, sha256, timeout)
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


def _from_hub(source: str, revision: str | None, timeout: float) -> Path:
    parts = source.removeprefix(HUB).split("/")
    if len(parts) < 3 or not all(parts):
        raise CheckpointError(
            f"{source} is not of the form hf://<owner>/<repository>/<file>"
        )
    from mmfusion.weights.downloads import from_hub  # what few runs need

    return from_hub("/".join(parts[:2]), "/".join(parts[2:]), revision, timeout)


def shown(source: str) -> str:
    """The source of a checkpoint as messages have it: without passwords and tokens."""
    if not source.startswith(WEB):
        return source
    from mmfusion.utils.secrets import hide_in_urls  # what few runs need

    return hide_in_urls(source)


def load_checked(
    path: str | os.PathLike, map_location: str = "cpu", *, own: bool = False
) -> dict[str, Any]:
    """Read a checkpoint without running anything that is in it.

    Args:
        path: a ``.safetensors`` file, or one written by ``torch.save``.
        map_location: device of the tensors.
        own: refuse a file without our digest.

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
        has_digest = check_digest(file)
        if own and not has_digest:
            raise CheckpointError(
                f"checkpoint {file} has no digest (sha256): a run that can be continued"
                " did not write it, or not this version; to start from its weights, use"
                " load_from without resume"
            )
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file, device=map_location)
        if not has_digest:
            check_archive(file)
        with torch.serialization.safe_globals(_HARMLESS):
            loaded = torch.load(file, map_location=map_location, weights_only=True)
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"checkpoint {file} {why_refused(error)}") from error
    if not isinstance(loaded, dict):
        raise CheckpointError(
            f"checkpoint {file} holds a {type(loaded).__qualname__}, expected a dict"
        )
    return loaded


def check_archive(path: str | os.PathLike) -> None:
    """Compare the checksums in a ``torch.save`` file of others: torch itself does not.

    Lengths too: where the zip's directory claims more bytes than there are, torch would
    hand out memory that nothing was read into.
    """
    if not zipfile.is_zipfile(path):
        return  # the format before torch 1.6, or damaged: torch.load says which
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if len(set(names)) < len(names):
                raise zipfile.BadZipFile("two records have one name")
            for record in archive.infolist():
                with archive.open(record) as stream:
                    count = sum(map(len, iter(lambda: stream.read(_CHUNK), b"")))
                if count != record.file_size:
                    claimed = (
                        f"{record.filename} of {record.file_size} bytes has {count}"
                    )
                    raise zipfile.BadZipFile(claimed)
    except Exception as error:
        raise CheckpointError(f"checkpoint {path} is damaged: {error}") from error


def write_archive(content: Any, file: BinaryIO) -> None:
    """``torch.save`` with a digest: the comment with which the zip ends.

    Args:
        content: tensors and plain values. file: open for writing; needs no ``seek``.
    """
    sealed = _SealedArchive(file)
    torch.save(content, sealed)  # type: ignore[arg-type]
    sealed.close()


class _SealedArchive:
    """A binary file that hashes what it is given and adds the comment at its end.

    The last record of a zip says how long the comment is, so it is held back.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash, self._held = file, hashlib.sha256(), b""

    def write(self, data: bytes) -> int:
        size = len(data)
        if size < _END_SIZE:
            data = self._held + data
        else:
            self._emit(self._held)
        self._emit(memoryview(data)[:-_END_SIZE])
        self._held = bytes(data[-_END_SIZE:])
        return size

    def flush(self) -> None:
        self._file.flush()

    def _emit(self, data: bytes | memoryview) -> None:
        self._hash.update(data)
        self._file.write(data)  # type: ignore[arg-type]

    def close(self) -> None:
        length = len(_TAG + _NO_DIGITS).to_bytes(2, "little")
        self._emit(self._held[:-2] + length + _TAG)
        self._hash.update(_NO_DIGITS)
        self._file.write(self._hash.hexdigest().encode())


def tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """A safetensors file of ``tensors`` with a digest in its metadata."""
    from safetensors.torch import save

    data = save(dict(tensors), {_KEY: (_TAG + _NO_DIGITS).decode()})
    before, _, after = data.partition(_TAG + _NO_DIGITS)
    digits = hashlib.sha256(data).hexdigest().encode()
    return b"".join([before, _TAG, digits, after])


def check_digest(path: str | os.PathLike) -> bool:
    """Compare the digest that our own files hold.

    Returns:
        True if it is right; False if the file has none, as those of others.

    Raises:
        CheckpointError: the file cannot be read, or its bytes are not those written.
    """
    try:
        with open(path, "rb") as file:
            is_archive = Path(path).suffix != ".safetensors"
            place = _place_of_digits(file, is_archive)
            if place is None:
                return False
            right = place >= 0 and _digits_at(file, place) == _hash(file, place)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error}") from error
    if not right:
        raise CheckpointError(
            f"checkpoint {path} is damaged: its bytes are not those that were written"
            " (sha256)"
        )
    return True


def _place_of_digits(file: BinaryIO, is_archive: bool) -> int | None:
    """Offset of the digest; None where nothing says that there is one.

    Two marks say so, the tag and beside it the length of the comment or the key in the
    metadata, so that damage to one of them is not taken for a file of others. The
    offset is -1 where the digest itself is not found, or more follows a zip's end.
    """
    size = os.fstat(file.fileno()).st_size
    if not is_archive:
        head = file.read(_WINDOW)
        if _TAG in head:
            return head.index(_TAG) + len(_TAG)
        return -1 if f'"{_KEY}"'.encode() in head else None
    is_zip = file.read(2) == b"PK"
    file.seek(max(0, size - _WINDOW))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06") if is_zip else -1
    length = int.from_bytes(tail[end + 20 : end + 22], "little") if end >= 0 else 0
    if _TAG in tail or length == len(_TAG + _NO_DIGITS):
        return size - len(_NO_DIGITS)
    return -1 if end >= 0 and len(tail) != end + _END_SIZE + length else None


def _digits_at(file: BinaryIO, place: int) -> bytes:
    file.seek(place)
    return file.read(len(_NO_DIGITS))


def _hash(file: BinaryIO, place: int) -> bytes:
    """Digits of the sha256 of a file whose digits at ``place`` count as zeros."""
    digest, left = hashlib.sha256(), place
    file.seek(0)
    while left and (chunk := file.read(min(left, _CHUNK))):
        digest.update(chunk)
        left -= len(chunk)
    file.seek(place + len(_NO_DIGITS))
    digest.update(_NO_DIGITS)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest().encode()


def why_refused(error: Exception) -> str:
    """Reason why torch or safetensors refused a file, as the end of a line.

    Without torch's own text, which advises to read such a file without safety.
    """
    reason = " ".join(str(error).split()) or type(error).__name__
    for marker in ("Unsupported global: ", "Unsupported class ", "Trying to "):
        if marker in reason:
            what = reason[reason.index(marker) :].split(". ")[0].split(" was not")[0]
            return (
                "is refused, nothing in it was run: it asks for more than tensors and"
                f" plain values ({what[:160]})"
            )
    reason = reason.rpartition("WeightsUnpickler error: ")[2].split(" Check the ")[0]
    kind = type(error).__name__
    return f"is damaged or not a checkpoint: {kind}: {reason[:200]}"


def peek_meta(path: str | os.PathLike) -> dict[str, Any] | None:
    """The ``meta`` dict of a checkpoint of ours, its tensors left on the disk.

    The digest is compared first. None: the file is whole, and somebody else's.

    Raises:
        CheckpointError: the file is damaged, or holds more than plain values.
    """
    has_digest = check_digest(path)
    if not has_digest:
        check_archive(path)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise CheckpointError(f"checkpoint {path} {why_refused(error)}") from error
    meta = loaded.get("meta") if has_digest and isinstance(loaded, dict) else None
    return meta if isinstance(meta, dict) else None


def is_of_others(path: str | os.PathLike) -> bool:
    """True for a whole archive without our digest, whatever it asks for."""
    try:
        if check_digest(path):
            return False
        check_archive(path)
    except CheckpointError:
        return False
    return zipfile.is_zipfile(path)


def read_tensors(
    source: str,
    *,
    container: str | None = None,
    sha256: str | None = None,
    revision: str | None = None,
    timeout: float = TIMEOUT,
) -> dict[str, Tensor]:
    """The tensors of a checkpoint by their names in it.

    See :func:`fetch` and :func:`unwrap`.
    """
    path = fetch(source, sha256=sha256, revision=revision, timeout=timeout)
    return unwrap(load_checked(path), shown(source), container)


def unwrap(
    content: Mapping[Any, Any], what: str, container: str | None = None
) -> dict[str, Tensor]:
    """The tensors of a checkpoint, taken out of what training scripts wrap them in.

    Args:
        content: what the file holds. what: its name, for the error.
        container: the dict in it to take, such as ``model_ema``; None takes the one
            that all published files have, see ``CONTAINERS``, or all of ``JOINED``.

    Raises:
        CheckpointError: there are no tensors in it, or some lie beside the dict that
            would be taken.
    """
    inner: Any = content
    if container is not None:
        inner = content.get(container)
        if not isinstance(inner, Mapping):
            raise CheckpointError(
                f"{what} has no dict {container!r}; it holds {_outline(content)}"
            )
    elif all(isinstance(content.get(name), Mapping) for name in JOINED):
        inner = {f"{n}.{k}": v for n in JOINED for k, v in content[n].items()}
    for name in CONTAINERS:
        if isinstance(inner, Mapping) and isinstance(inner.get(name), Mapping):
            beside = [k for k, v in inner.items() if isinstance(v, Tensor) and v.dim()]
            if beside:
                raise CheckpointError(
                    f"{what} has tensors in {name!r} and others beside it"
                    f" ({beside[0]!r}): it is no file of one model"
                )
            inner = inner[name]
    tensors = {key: value for key, value in inner.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(
            f"{what} holds no tensors where they are looked for, only"
            f" {_outline(content)}; where a dict in it is meant, name it:"
            " init_cfg=dict(type='Pretrained', ..., container='model_ema')"
        )
    odd = [key for key in tensors if not isinstance(key, str)]
    if odd:
        raise CheckpointError(f"{what} names a tensor {odd[0]!r}, expected text")
    if all(key.startswith("module.") for key in tensors):  # DistributedDataParallel
        tensors = {key[len("module.") :]: value for key, value in tensors.items()}
    return tensors


def _outline(content: Mapping[Any, Any]) -> str:
    """The first keys of a file, dicts with a brace."""
    keys = [
        f"{k} {{...}}" if isinstance(v, Mapping) else str(k) for k, v in content.items()
    ]
    return ", ".join(keys[:12]) + (", ..." if keys[12:] else "") or "nothing"
