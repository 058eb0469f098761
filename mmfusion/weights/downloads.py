"""Weight files from the web and the hub: within a time limit, without secrets shown."""

import base64
import hashlib
import os
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import torch

from mmfusion.utils.errors import CheckpointError, InputError
from mmfusion.utils.secrets import HIDDEN, hide_in_urls, whole_url

SLOWEST = 1024  # bytes a second on average, over the time limit
_CHUNK = 1 << 16


def from_hub(repository: str, name: str, revision: str | None, timeout: float) -> Path:
    """The file of a repository on the hub, in the cache of huggingface_hub.

    Args:
        repository: ``<owner>/<repository>``. name: of the file in it.
        revision: commit, tag or branch; ``main`` if None.
        timeout: seconds for an answer; between two parts of the file it is 10, or
            ``HF_HUB_DOWNLOAD_TIMEOUT`` of the environment.

    Raises:
        CheckpointError: it cannot be fetched.
    """
    from huggingface_hub import hf_hub_download  # slow to import

    try:
        return Path(
            hf_hub_download(repository, name, revision=revision, etag_timeout=timeout)
        )
    except Exception as error:  # its errors have no common base but Exception
        pinned = f" --revision {revision}" if revision else ""
        raise CheckpointError(
            f"hf://{repository}/{name} cannot be fetched: {_reason(error)}. Where there"
            f" is a network, run: hf download {repository} {name}{pinned}; or give the"
            " path of the file"
        ) from None


def from_web(source: str, sha256: str | None, timeout: float) -> Path:
    """The file of a URL, where torch.hub keeps its files.

    Args:
        source: ``http://`` or ``https://``; a user and a password in it are sent to
            that server only.
        sha256: what it must have, 64 hexadecimal digits.
        timeout: seconds without any byte, or with less than 1 KiB a second.

    Raises:
        CheckpointError: it cannot be fetched; the message shows neither the user nor
            the query of the address.
    """
    shown = hide_in_urls(source)
    if sha256 is None:
        raise CheckpointError(
            f"{shown}: a download needs its sha256, so that it is the file you mean:"
            " init_cfg=dict(type='Pretrained', checkpoint=..., sha256='...')"
        )
    if not timeout > 0:
        raise CheckpointError(f"timeout is {timeout}, expected seconds above 0")
    folder = Path(torch.hub.get_dir(), "checkpoints")
    # the checksum in the name: two files of one name never meet
    name = f"{sha256.lower()[:16]}-{Path(urlsplit(source).path).name or 'checkpoint'}"
    path = folder / name
    if path.is_file():
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _download(whole_url(source), path, sha256.lower(), timeout)
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError):
            error.close()
        reason = _without_secrets(_reason(error), whole_url(source))
        raise CheckpointError(
            f"{shown} cannot be fetched: {reason}. Put the file into {path}, or give"
            " its path; timeout (--timeout) gives it more time"
        ) from None
    return path


def _download(url: str, path: Path, sha256: str, timeout: float) -> None:
    """Write the file of ``url`` beside ``path``, check it, and rename it."""
    with (
        urllib.request.urlopen(_request(url), timeout=timeout) as response,
        tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file,
    ):
        digest, size = hashlib.sha256(), 0
        for chunk in _chunks(response, timeout):
            digest.update(chunk)
            file.write(chunk)
            size += len(chunk)
        promised = response.headers.get("Content-Length")
        if promised is not None and size != int(promised):
            raise InputError(f"it ended after {size} of {promised} bytes")
        if digest.hexdigest() != sha256:
            raise InputError(
                f"the file has sha256 {digest.hexdigest()}, expected {sha256}"
            )
        file.flush()
        os.fsync(file.fileno())
        os.link(file.name, path)


def _request(url: str) -> urllib.request.Request:
    parts = urlsplit(url)
    user, marker, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(urlunsplit(parts._replace(netloc=host)))
    if marker:
        name, _, password = user.partition(":")
        token = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode())
        # not to the server that this one may send us to
        request.add_unredirected_header("Authorization", f"Basic {token.decode()}")
    return request


def _chunks(response: HTTPResponse, timeout: float) -> Iterator[bytes]:
    """Parts of an answer as they come; too slow is an error."""
    began, size = time.monotonic(), 0
    while chunk := response.read1(_CHUNK):
        yield chunk
        size += len(chunk)
        passed = time.monotonic() - began
        if passed > timeout:
            if size < SLOWEST * passed:
                raise TimeoutError(f"only {size} bytes came in {passed:.0f} s")
            began, size = time.monotonic(), 0


def _without_secrets(text: str, url: str) -> str:
    """``text`` without what the address hides, should a server repeat a part of it."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0]
    secrets = {parts.query, user, unquote(user), *user.split(":")}
    secrets |= {value for pair in parse_qsl(parts.query) for value in pair[1:]}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) > 3:
            text = text.replace(secret, HIDDEN)
    return text


def _reason(error: Exception) -> str:
    """Kind and text of an error in one line, without secrets."""
    text = " ".join(hide_in_urls(str(error)).split())[:300]
    if isinstance(error, TimeoutError) or "timed out" in text:
        text += " (time limit)"
    return f"{type(error).__name__}: {text}"
