"""Rows of csv files, strictly: every fault is named with file and line."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mmfusion.utils.errors import AnnotationError
from mmfusion.utils.schema import shown
from mmfusion.utils.text_files import read_text


def read_rows(path: Path, separator: str = ",") -> list[tuple[str, list[str]]]:
    """Every row that is not empty, with its ``file:line``.

    Raises:
        AnnotationError: no such file, not UTF-8, a NUL, a quote that never ends, a
            field too long.
    """
    if not path.is_file():
        raise AnnotationError(
            f"{path}: there is no such file; the README beside the data's prepare.py"
            " says where it is from and how it lies"
        )
    stream = io.StringIO(read_text(path), newline="")
    reader = csv.reader(stream, delimiter=separator, strict=True)
    rows: list[tuple[str, list[str]]] = []
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise AnnotationError(f"{path}:{line}: not csv: {error}") from None
        if row is None:
            return rows
        if row:
            rows.append((f"{path}:{line}", row))


def read_columns(
    path: Path, needed: Sequence[str], origin: str = "epic-kitchens-100-annotations"
) -> list[tuple[str, dict[str, str]]]:
    """The rows of a file with a header, as dicts, each with its ``file:line``.

    Args:
        path: the file.
        needed: columns that it must have; it may have others.
        origin: publication that has the right file, for errors.

    Raises:
        AnnotationError: as :func:`read_rows`; a needed column lacks, or a row has more
            or fewer columns than the header.
    """
    rows = read_rows(path)
    head = rows[0][1] if rows else []
    missing = [name for name in needed if name not in head]
    if missing or len(set(head)) != len(head):
        what = f"lacks the columns {missing}" if missing else "names a column twice"
        raise AnnotationError(
            f"{path}:1: the header {what}; it is {shown(head)}; expected the official"
            f" file of {origin}"
        )
    found = []
    for place, row in rows[1:]:
        if len(row) != len(head):
            raise AnnotationError(
                f"{place}: {len(row)} columns; expected {len(head)}, as the header has"
            )
        found.append((place, dict(zip(head, row, strict=True))))
    return found
