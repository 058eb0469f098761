"""Hostile content: what a careless hand, a broken disk or a stranger puts into a file.

A mutation says how many rows it may change (None: any number, as where a file is cut),
so that a campaign can see whether a reader changed others in silence.
"""

import copy
import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

HUGE = 10_000_000  # characters of a field that is too long
CELLS = (
    *("", " ", "x", "nan", "inf", "-inf", "-1", "-0", "+1", "1e400", "1e3", "1.5"),
    *("20240115", "9" * 19, "9" * 40, "0x10", "1_0", "\uff11", "\u0663", "\u00b2"),
    *("=1+1", "@SUM(A1)", "../../etc/passwd", "/etc/passwd", "http://x/y", "a\\b"),
    *("a b", "a\tb", "a,b", "a;b", '"', '"open', "'", "[]", "{}", "None", "True"),
    *(
        "\x00",
        "\x0b",
        "\x1c",
        "\x85",
        "\u2028",
        "\u202e",
        "\ufeff",
        "\xe9",
        "\U0001f600",
    ),
    *("00:00:99.99", "24:61:00", "{0.__class__}", "%s%n", "-" * 3000, "[" * 3000),
)
LIKE_NUMBERS = (
    *(
        "\uff11",
        "\u0663",
        "\u00b2",
        "1_0",
        "1e400",
        "9" * 40,
        "nan",
        "inf",
        "-1",
        "0x1",
    ),
    *("20240115", "1.5", "1 0", "1\t", "\xa01", "1,0", ""),
)
VALUES = (
    *(None, True, False, "", " ", "x", 0, -1, 1, 0.5, -0.0, 10**12, 2**63, 10**40),
    *([], {}, [None], ["x"], [[1]], {"a": None}, {"a": 1}, [3, 1, 2], [-1], "1", "nan"),
    *("\ud800", "a\x00b", "../x", "/x", "http://x", "\u0663", 1e308, 20240115),
    *("x" * 5000, [0] * 5000, {str(n): n for n in range(500)}),
)
TOKENS = ("1e400", "-1e400", "NaN", "Infinity", "1" * 5000, "[" * 3000, "01", "'x'")
_MARK = "\u0001token\u0001"


@dataclass(frozen=True)
class Mutant:
    """A damaged file.

    Attributes:
        data: its bytes.
        what: kind of the damage.
        touched: rows that may differ; None for any number.
        must: ``same`` where nothing may change, ``refused``, or ``either``.
    """

    data: bytes
    what: str
    touched: int | None
    must: str = "either"


def damaged_bytes(data: bytes, random: np.random.Generator) -> Mutant:
    """Bytes of any file, flipped, cut, doubled or strewn over."""
    kind = int(random.integers(7))
    place = int(random.integers(len(data)))
    if kind == 0:
        flipped = bytes([data[place] ^ (1 << int(random.integers(8)))])
        return Mutant(data[:place] + flipped + data[place + 1 :], "bit", 2)
    if kind == 1:
        return Mutant(data[:place], "cut", None)
    if kind == 2:
        noise = random.bytes(int(random.integers(1, 40)))
        return Mutant(data[:place] + noise + data[place:], "noise", 3)
    if kind == 3:
        end = min(len(data), place + int(random.integers(1, 40)))
        return Mutant(data[:place] + data[end:], "hole", None)
    if kind == 4:
        end = min(len(data), place + int(random.integers(1, 40)))
        return Mutant(data[:place] + bytes(end - place) + data[end:], "zeros", None)
    if kind == 5:
        return Mutant(data + data[place:], "doubled end", None)
    return Mutant(random.bytes(len(data)), "random bytes", None)


def damaged_text(data: bytes, random: np.random.Generator) -> Mutant:
    """Text as other systems write it, and lines that are doubled, lost or moved."""
    text = data.decode()
    lines = text.split("\n")
    place = int(random.integers(len(lines)))
    kind = int(random.integers(10))
    if kind == 0:
        return Mutant(b"\xef\xbb\xbf" + data, "byte order mark", 0, "same")
    if kind == 1:
        return Mutant(text.replace("\n", "\r\n").encode(), "CRLF", 0, "same")
    if kind == 2:
        return Mutant(data + b"\n\n", "blank end", 0, "same")
    if kind == 3:
        return Mutant(text.encode("utf-16"), "UTF-16", 0, "refused")
    if kind == 4:
        at = int(random.integers(len(data)))
        return Mutant(data[:at] + b"\x00" + data[at:], "NUL", 0, "refused")
    if kind == 5:
        at = int(random.integers(len(data)))
        return Mutant(data[:at] + b"\xff" + data[at:], "not UTF-8", 0, "refused")
    if kind == 6:
        return Mutant("\n".join([*lines, lines[place]]).encode(), "twice", 1)
    if kind == 7:
        rest = lines[:place] + lines[place + 1 :]
        return Mutant("\n".join(rest).encode(), "line lost", None)
    if kind == 8:
        at = int(random.integers(len(data)))
        filled = data[:at] + b"x" * HUGE + data[at:]
        return Mutant(filled, "10 MB field", 1)
    return Mutant(text.replace("\n", "\r").encode(), "CR alone", None)


def damaged_cell(
    table: list[list[str]],
    separator: str,
    numbers: set[int],
    random: np.random.Generator,
) -> Mutant:
    """One cell of a table, below its head, replaced, lost, added or swapped.

    Args:
        table: the rows, the first of them not to be touched where it is a head.
        separator: between the cells.
        numbers: columns that hold plain numbers only, and no empty cell.
    """
    table = copy.deepcopy(table)
    row = table[int(random.integers(1, len(table)))]
    column = int(random.integers(len(row)))
    kind, must = int(random.integers(8)), "either"
    if kind == 0:
        del row[column]
        what = "cell lost"
    elif kind == 1:
        row.insert(column, str(random.choice(CELLS)))
        what = "cell added"
    elif kind == 2:
        other = int(random.integers(len(row)))
        row[column], row[other] = row[other], row[column]
        what = "cells swapped"
    else:
        alike = column in numbers and random.integers(2)
        row[column] = str(random.choice(LIKE_NUMBERS if alike else CELLS))
        what = "cell replaced"
        text = row[column].strip()
        plain = text.isascii() and re.fullmatch(r"[0-9.]+([ ,\t][0-9]+)?", text)
        # a blank cell is none where blanks separate, nor a row of one blank cell
        blank = not row[column].strip() and (separator == " " or len(row) == 1)
        harmless = row[column] in ("+1", "-0", "1e3") or blank
        if column in numbers and not plain and not harmless:
            must = "refused"
    text = "\n".join(separator.join(cells) for cells in table) + "\n"
    return Mutant(text.encode(errors="surrogatepass"), what, 1, must)


def damaged_tree(tree: Any, random: np.random.Generator) -> tuple[Any, str]:
    """A copy of plain nested values, one of them replaced, lost, doubled or renamed."""
    tree = copy.deepcopy(tree)
    places = list(_places(tree))
    parent, key = places[int(random.integers(len(places)))]
    kind = int(random.integers(6))
    if kind == 0:
        del parent[key]
        return tree, "lost"
    if kind == 1 and isinstance(parent, dict):
        parent[f"{key}x"] = parent.pop(key)
        return tree, "renamed"
    if kind == 2 and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[key]))
        return tree, "twice"
    parent[key] = copy.deepcopy(VALUES[int(random.integers(len(VALUES)))])
    return tree, "replaced"


def damaged_json(tree: Any, random: np.random.Generator, lines: bool) -> Mutant:
    """JSON with a value that is wrong, or a token that is no JSON.

    Args:
        tree: the content; a list of its lines where ``lines``.
    """
    kind = int(random.integers(5))
    if kind == 0:
        tree, token = copy.deepcopy(tree), str(random.choice(TOKENS))
        places = list(_places(tree))
        parent, key = places[int(random.integers(len(places)))]
        parent[key] = _MARK
        text = dump_json(tree, lines).replace(json.dumps(_MARK), token)
        return Mutant(text.encode(), f"token {token[:8]}", 1, "refused")
    if kind == 1:
        text = dump_json(tree, lines)
        at = text.find(": ") if random.integers(2) else text.rfind(": ")
        start = text.rfind('"', 0, at - 1)
        key = text[start : at + 2]
        twice = text[:start] + f"{key}null, " + text[start:]
        return Mutant(twice.encode(), "key twice", 0, "refused")
    tree, what = damaged_tree(tree, random)
    return Mutant(dump_json(tree, lines).encode(), f"value {what}", 1)


def dump_json(tree: Any, lines: bool) -> str:
    """The text of a JSON file, or of JSON Lines."""
    if lines:
        return "".join(json.dumps(one) + "\n" for one in tree)
    return json.dumps(tree, indent=1) + "\n"


def _places(tree: Any) -> Any:
    """Every (container, key) in nested values."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)
