"""Hostile rows in every format of lists and annotations that is read.

In each trial one small right file is damaged: a value is replaced by one of a wrong
type, a huge or an endless number, a hostile path, a digit of another script, a formula;
a key or a cell is lost, doubled or renamed; bytes are flipped, cut or strewn over; a
field has 10 MB; lines end otherwise. It must be read, with the rows that were not
touched as they were and no number that 64 bits cannot hold, or be refused by an
error of ours that names the file and the line or key. What harms nothing (a byte order
mark, CRLF, blank lines at the end) must be read; what cannot be right must be refused.
"""

import re
from pathlib import Path

import numpy as np

from tests.campaigns.asserting import Refused, attempt, bounded_memory
from tests.campaigns.campaign import main
from tests.campaigns.hostile_values import (
    Mutant,
    damaged_bytes,
    damaged_cell,
    damaged_json,
    damaged_text,
    damaged_tree,
)
from tests.campaigns.row_formats import FORMATS, Format, check_sound, right_bytes

MOST_MEMORY = 400  # MiB, for a field of 10 MB
# where in the file: a line, or a row by number
_PLACE = re.compile(
    r":\d+\b|\b(line|record|entry|annotation|prediction|frame|byte|column|array|answer)"
    r" \W?\w"
)
# of the whole file, which has no such place
_WHOLE = (
    *("nested too deeply", "is empty", "has no class", "readable pickle", "is refused"),
    *("readable npz", "holds", "numbers, expected", "no box", "no cache of answers"),
    *("names the", "zip", "twice", "lacks", "each once", "not plain numbers"),
    *("expected finite numbers", "all or none", "bytes; expected at most"),
    *("key '", "the score of", "sample '"),
)


def trial(number: int, random: np.random.Generator, folder: Path) -> str:
    """Damage one file, and read it."""
    form = FORMATS[number % len(FORMATS)]
    path = folder / form.file
    if form.beside is not None:
        form.beside(folder)
    mutant = _damage(form, random, folder)
    path.write_bytes(mutant.data)
    with bounded_memory(MOST_MEMORY):
        outcome = attempt(lambda: form.read(path), form.file)
    if isinstance(outcome, Refused):
        where = outcome.text.replace(str(folder), "").replace(form.file, "", 1)
        where = f":{where[1:]}" if where.startswith(":") else where
        named = _PLACE.search(where) or any(key in where for key in _keys(form))
        assert named, f"{mutant.what}: no line or key: {outcome.text}"
        marked = mutant.what == "byte order mark" and not form.takes_mark
        assert mutant.must != "same" or marked, f"{mutant.what}: {outcome.text}"
        return "refused"
    assert mutant.must != "refused", f"{mutant.what} was taken as data: {mutant.data!r}"
    check_sound(outcome.value)
    right = _right(number % len(FORMATS), folder)
    if mutant.touched is not None:
        changed = [key for key in right if outcome.value.get(key, "lost") != right[key]]
        assert len(changed) <= mutant.touched, f"{mutant.what}: {changed} changed"
    return "read" if outcome.value != right else "read as before"


def _keys(form: Format) -> list[str]:
    """Keys of the format's objects, and its columns."""
    if form.table is not None:
        return [*form.table[0], *_WHOLE]
    keys: list[str] = []
    todo = [form.tree]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            keys += [str(key) for key in one]
            todo += one.values()
        elif isinstance(one, list):
            todo += one
    return [*keys, *_WHOLE]


def _damage(form: Format, random: np.random.Generator, folder: Path) -> Mutant:
    kind = int(random.integers(10))
    if form.binary is not None:
        if kind < 3:
            return damaged_bytes(form.binary(form.tree, folder), random)
        tree, what = damaged_tree(form.tree, random)
        # an array is a column: a part of every row
        touched = None if form.file.endswith(".npz") else 1
        try:
            return Mutant(form.binary(tree, folder), f"value {what}", touched)
        except (ValueError, TypeError, OverflowError):  # no such file can be written
            return damaged_bytes(form.binary(form.tree, folder), random)
    data = right_bytes(form, folder)
    if kind < 1:
        return damaged_bytes(data, random)
    if kind < 3:
        return damaged_text(data, random)
    if form.table is not None:
        table = [list(row) for row in form.table]
        return damaged_cell(table, form.separator, set(form.numbers), random)
    return damaged_json(form.tree, random, form.is_lines)


_RIGHT: dict[int, dict] = {}


def _right(place: int, folder: Path) -> dict:
    """Rows of the right file, read once."""
    if place not in _RIGHT:
        own = folder / "right"
        own.mkdir()
        form = FORMATS[place]
        if form.beside is not None:
            form.beside(own)
        (own / form.file).write_bytes(right_bytes(form, own))
        _RIGHT[place] = form.read(own / form.file)
        assert _RIGHT[place], f"{form.file} has no row"
    return _RIGHT[place]


if __name__ == "__main__":
    main(trial, __doc__, 10_000)
