"""Text and JSON files, read whole and strictly: UTF-8, each key of an object once."""

import json
import os
from typing import Any

from mmfusion.utils.errors import AnnotationError, InputError, MMFusionError


class RepeatedKeyError(MMFusionError, ValueError):
    """A key stands twice in one object."""


def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The ``object_pairs_hook`` for ``json.loads``.

    Raises:
        RepeatedKeyError: names the key.
    """
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RepeatedKeyError(f"the key {twice!r} stands twice in an object")
    return content


_DECODER = json.JSONDecoder(object_pairs_hook=no_key_twice)


def decode_json(data: bytes) -> Any:
    """Parse UTF-8 JSON, with or without a byte order mark.

    Raises:
        ValueError: it is not JSON, or a key stands twice in an object.
    """
    try:
        return _DECODER.decode(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        text = "nested too deeply" if deep else str(error)
        text = text.replace(": line 1 column", " at column")
        raise InputError(f"not valid JSON: {text}") from None


def parse_json(data: bytes, where: str) -> Any:
    """Parse the UTF-8 JSON of an annotation.

    Raises:
        AnnotationError: it is not JSON; the text says where.
    """
    try:
        return decode_json(data)
    except ValueError as error:
        raise AnnotationError(
            f"{where} is {error}; write it again, or give its format by ann_format"
        ) from None


def read_bytes(path: str) -> bytes:
    """The whole annotation file.

    Raises:
        AnnotationError: it cannot be read.
    """
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        raise AnnotationError(
            f"annotation file {path!r} cannot be read: {error}; run the dataset's"
            " tools/data/<dataset>/prepare.py to make it"
        ) from None


def read_text(path: str | os.PathLike) -> str:
    """The whole annotation file as text, with or without a byte order mark.

    Raises:
        AnnotationError: it cannot be read, or is not UTF-8.
    """
    try:
        return read_bytes(str(path)).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path} is not UTF-8 text: {error}") from None
