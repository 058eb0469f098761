"""The token cache: one safetensors file a clip with the tokens of a frozen encoder.

Tensors of a file: ``tokens`` (v, l, d), float32 or float16, ``times`` (v, n) float64,
the seconds at which the frames were taken, and, where the encoder gives them, ``cls``
(v, d) and ``mask`` (v, l). Its metadata has ``id`` and ``made``: what the tokens are
of, as JSON. ``features.json`` in the folder has the same once. ``tools/features.py``
writes them.

Keys of ``made``: ``stream``, ``encoder`` (its config), ``weights`` (sha256 of its state
dict), ``mean``, ``std``, ``steps`` (what is done to frames, by split), ``with_cls``.

Shapes: v views, l tokens, d channels, n frames.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from mmfusion.utils.errors import FeatureError, InputError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.text_files import read_json

ABOUT = "features.json"
MAX_BYTES = 2**30  # of one clip
_LONG = 150  # letters of a name


def file_of(folder: str | os.PathLike, sample_id: str) -> Path:
    """File of a clip."""
    name = quote(sample_id, safe=" #@+,=")
    if len(name) > _LONG:
        name = f"{name[:_LONG]}~{hashlib.sha256(sample_id.encode()).hexdigest()[:16]}"
    return Path(folder, f"{name}.safetensors")


def write_tokens(
    path: Path, sample_id: str, arrays: Mapping[str, np.ndarray], made: Mapping
) -> None:
    """Write the file of a clip so that it is whole or not there."""
    from safetensors.numpy import save

    metadata = {"id": sample_id, "made": canonical(made)}
    write_atomic(path, save({**arrays}, metadata), sweep=False)


def read_tokens(
    path: str | os.PathLike, *, head_only: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and metadata of a file; with ``head_only`` no tensors.

    Raises:
        FeatureError: it is not there, damaged, or has not what it should have.
    """
    from safetensors import SafetensorError, safe_open

    name = os.fspath(path)
    if not os.path.isfile(name):
        raise FeatureError(
            name,
            "the file does not exist: tools/features.py has not come to this clip, or"
            " could not read its video",
        )
    if os.path.getsize(name) > MAX_BYTES:
        raise FeatureError(name, f"over {MAX_BYTES} bytes")
    try:
        with safe_open(name, "numpy") as file:
            metadata = file.metadata() or {}
            keys = [] if head_only else [*file.keys()]
            arrays = {key: file.get_tensor(key) for key in keys}
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise FeatureError(
            name, f"damaged ({error}); remove it and run tools/features.py again"
        ) from error
    lacking = {"id", "made"} - {*metadata}
    if not head_only:
        lacking |= {"tokens", "times"} - {*arrays}
    if lacking:
        raise FeatureError(name, f"it lacks {sorted(lacking)}; expected a token cache")
    return arrays, metadata


def write_about(folder: str | os.PathLike, made: Mapping) -> None:
    """Write ``features.json``."""
    text = json.dumps(made, indent=1, sort_keys=True)
    write_atomic(Path(folder, ABOUT), f"{text}\n".encode())


def read_about(folder: str | os.PathLike) -> dict[str, Any]:
    """Description of the features of a folder.

    Raises:
        InputError: it has none.
    """
    path = Path(folder, ABOUT)
    if not path.is_file():
        raise InputError(
            f"{os.fspath(folder)!r} has no {ABOUT}; make the features with"
            f" python tools/features.py CONFIG --out {os.fspath(folder)}"
        )
    content = read_json(path, error_type=InputError)
    if not isinstance(content, dict) or not {"encoder", "weights"} <= content.keys():
        raise InputError(f"{path} is no description of features; make them again")
    return content


def canonical(made: Mapping) -> str:
    """The one text of a description, to be compared."""
    return json.dumps(made, sort_keys=True, separators=(",", ":"))


def differences(made: Any, wanted: Any, path: str = "") -> Iterator[str]:
    """``key: then, now`` of each value that two descriptions do not share."""
    if isinstance(made, Mapping) and isinstance(wanted, Mapping):
        for key in sorted({*made, *wanted}):
            at = f"{path}.{key}" if path else key
            yield from differences(made.get(key), wanted.get(key), at)
    elif (
        isinstance(made, list) and isinstance(wanted, list) and len(made) == len(wanted)
    ):
        for number, (old, new) in enumerate(zip(made, wanted, strict=True)):
            yield from differences(old, new, f"{path}.{number}")
    elif made != wanted:
        yield f"{path} was {_short(made)}, is {_short(wanted)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
