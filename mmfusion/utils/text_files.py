"""Text and JSON files of strangers, read strictly and within bounds.

UTF-8, no NUL, each key of an object once, numbers that 64 bits can hold; a file or a
line of a size that no such file has is refused before it is in memory. Errors name the
file and, where there is one, the line.
"""

import codecs
import json
import math
import os
import re
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

from mmfusion.utils.errors import AnnotationError, InputError, MMFusionError

MAX_BYTES = 1 << 29  # of a file that is read whole; EPIC's annotation has 7e7
MAX_LINE_BYTES = 1 << 24  # of a line in a file that is read line by line
_MAX_DIGITS = 20  # of a whole number of 64 bits, with its sign


class RepeatedKeyError(MMFusionError, ValueError):
    """A key stands twice in one object."""


class _NumberError(MMFusionError, ValueError):
    """A number that nothing here can hold; ``token`` is its text."""

    def __init__(self, token: str, reason: str) -> None:
        self.token = token
        shown = token if len(token) <= 40 else f"{token[:37]}..."
        super().__init__(f"the number {shown} {reason}")


def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The ``object_pairs_hook`` for ``json.loads``.

    Raises:
        RepeatedKeyError: names the key.
    """
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise RepeatedKeyError(f"the key {twice!r:.80} stands twice in an object")
    return content


def _whole_number(text: str) -> int:
    number = int(text) if len(text) <= _MAX_DIGITS else 2**63
    if not -(2**63) <= number < 2**63:
        raise _NumberError(text, "has more than 64 bits")
    return number


def _real_number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _NumberError(text, "is larger than any number of 64 bits")
    return number


def _no_number(text: str) -> NoReturn:
    raise _NumberError(text, "is no JSON; expected a finite one, or null")


_DECODER = json.JSONDecoder(
    object_pairs_hook=no_key_twice,
    parse_int=_whole_number,
    parse_float=_real_number,
    parse_constant=_no_number,
)


def decode_json(data: bytes) -> Any:
    """Parse UTF-8 JSON, with or without a byte order mark.

    Raises:
        InputError: it is not JSON, a key stands twice in an object, or a number is not
            finite or has more than 64 bits; with the line, where there are several.
    """
    try:
        return _DECODER.decode(data.decode("utf-8-sig"))
    except RecursionError:
        reason = "nested too deeply"
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not UTF-8{_line_of(data, error.start)}"
    except _NumberError as error:
        token = rb"(?<![\w.+-])" + re.escape(error.token.encode()) + rb"(?![\w.+-])"
        found = re.search(token, data)
        reason = f"{error}{_line_of(data, found.start()) if found else ''}"
    except ValueError as error:
        reason = str(error).replace(": line 1 column", " at column")
    raise InputError(f"not valid JSON: {reason}")


def _line_of(data: bytes, place: int) -> str:
    if b"\n" not in data:
        return ""
    number = data.count(b"\n", 0, place) + 1
    return f": line {number}"


def parse_json(
    data: bytes, where: str, *, error_type: type[MMFusionError] = AnnotationError
) -> Any:
    """Parse the UTF-8 JSON of a file, or of its line, that ``where`` names.

    Raises:
        MMFusionError: of that type; as :func:`decode_json`.
    """
    try:
        return decode_json(data)
    except InputError as error:
        raise error_type(f"{where} is {error}; write it again") from None


def read_json(
    path: str | os.PathLike,
    *,
    max_bytes: int = MAX_BYTES,
    error_type: type[MMFusionError] = AnnotationError,
) -> Any:
    """The content of a JSON file.

    Raises:
        MMFusionError: of that type; as :func:`read_bytes` and :func:`decode_json`.
    """
    data = read_bytes(path, max_bytes=max_bytes, error_type=error_type)
    return parse_json(data, os.fspath(path), error_type=error_type)


def open_plain(
    path: str | os.PathLike, *, error_type: type[MMFusionError] = AnnotationError
) -> BinaryIO:
    """Open a plain file; a pipe, which may never end, is refused.

    Raises:
        MMFusionError: of that type; it cannot be opened.
    """
    name = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise OSError("it is a folder, a device or a pipe")
        return open(path, "rb")
    except (OSError, ValueError) as error:  # ValueError: NUL in the path
        if isinstance(error, MMFusionError):
            raise
        raise error_type(
            f"{name!r} cannot be read: {error}; expected a file. The README beside the"
            " tool that makes it says how"
        ) from None


def read_bytes(
    path: str | os.PathLike,
    *,
    max_bytes: int = MAX_BYTES,
    error_type: type[MMFusionError] = AnnotationError,
) -> bytes:
    """The whole file.

    Raises:
        MMFusionError: of that type; it cannot be read, or is larger than that.
    """
    with open_plain(path, error_type=error_type) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > max_bytes:
            raise error_type(
                f"{os.fspath(path)} has {size} bytes; expected at most {max_bytes}: is"
                " it the right file?"
            )
        try:
            return stream.read(max_bytes)
        except OSError as error:
            raise error_type(f"{os.fspath(path)!r} cannot be read: {error}") from None


def read_text(
    path: str | os.PathLike,
    *,
    max_bytes: int = MAX_BYTES,
    error_type: type[MMFusionError] = AnnotationError,
) -> str:
    """The whole file as text, with or without a byte order mark.

    Raises:
        MMFusionError: of that type; it cannot be read, is larger than that, not UTF-8,
            or has a NUL character; names the line.
    """
    data = read_bytes(path, max_bytes=max_bytes, error_type=error_type)
    return _decode(data, os.fspath(path), 1, error_type)


def _decode(data: bytes, name: str, line: int, error_type: type[MMFusionError]) -> str:
    """Text of ``data``, which begins on that line of the file ``name``."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise error_type(
            f"{name}:{line}: it is UTF-16; expected text in UTF-8: write it again by"
            " iconv -f utf-16 -t utf-8"
        )
    place = data.find(b"\0")
    reason = "it has a NUL character"
    try:
        text = data.decode("utf-8-sig")
        if place < 0:
            return text
    except UnicodeDecodeError as error:
        if place < 0 or error.start < place:
            place, reason = error.start, f"byte {error.start} is not UTF-8"
    line += data.count(b"\n", 0, place)
    raise error_type(f"{name}:{line}: {reason}; expected text in UTF-8")


def read_raw_lines(
    path: str | os.PathLike,
    *,
    max_bytes: int = MAX_LINE_BYTES,
    error_type: type[MMFusionError] = AnnotationError,
) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line that is not blank, without blanks at its end.

    Raises:
        MMFusionError: of that type; the file cannot be read, or a line is longer.
    """
    with open_plain(path, error_type=error_type) as stream:
        # never more than the bound: a file without line ends must not fill the memory
        lines = iter(lambda: stream.readline(max_bytes + 1), b"")
        try:
            for number, line in enumerate(lines, start=1):
                if len(line) > max_bytes:
                    raise error_type(
                        f"{os.fspath(path)}:{number}: the line is longer than"
                        f" {max_bytes} bytes; is it the right file?"
                    )
                if line.strip():
                    yield number, line.rstrip()
        except OSError as error:
            raise error_type(f"{os.fspath(path)!r} cannot be read: {error}") from None


def read_lines(
    path: str | os.PathLike, *, error_type: type[MMFusionError] = AnnotationError
) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not blank; blanks around it are cut off.

    Raises:
        MMFusionError: of that type; as :func:`read_raw_lines`, or a line is not UTF-8
            or has a NUL character.
    """
    for number, line in read_raw_lines(path, error_type=error_type):
        text = _decode(line, os.fspath(path), number, error_type).strip()
        if text:
            yield number, text


def read_names(path: str | os.PathLike) -> list[str]:
    """A class name from each line, the first of class 0.

    Raises:
        AnnotationError: it cannot be read, is empty, or has a blank line between two
            names, after which every class would have another number.
    """
    names: list[str] = []
    for number, name in read_lines(path):
        if number != len(names) + 1:
            raise AnnotationError(
                f"{os.fspath(path)}:{len(names) + 1}: the line is blank, and names"
                f" follow; expected the name of class {len(names)}: a line is a class"
            )
        names.append(name)
    if not names:
        raise AnnotationError(f"{os.fspath(path)} is empty; expected a name in a line")
    return names
