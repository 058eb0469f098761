"""A published file has one reader: csv is read in ``layouts`` alone."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READS = {"reader", "DictReader", "read_csv"}
# the table of checkpoints is the package's own
OWN = {"mmfusion/analysis", "mmfusion/weights", "tools/converters"}
FILES = [
    path
    for folder in ("mmfusion", "tools")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def reads_csv(source: str) -> list[int]:
    """Lines that read csv, by the module csv or by pandas."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "csv":
            lines.append(node.lineno)
        if isinstance(node, ast.Attribute) and node.attr in READS:
            value = node.value
            if node.attr == "read_csv" or (
                isinstance(value, ast.Name) and value.id == "csv"
            ):
                lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("import csv\nrows = csv.reader(stream)", [2]),
        ("from csv import DictReader", [1]),
        ("import pandas\npandas.read_csv(path)", [2]),
        ("import csv\ncsv.writer(stream).writerows(rows)", []),
    ],
    ids=["reader", "from", "pandas", "writer"],
)
def test_reading_is_told_from_writing(source: str, lines: list[int]) -> None:
    assert reads_csv(source) == lines


def test_csv_is_read_in_the_layouts_alone() -> None:
    found = {}
    for path in FILES:
        name = path.relative_to(ROOT).as_posix()
        if name.startswith("mmfusion/layouts/") or any(n in name for n in OWN):
            continue
        lines = reads_csv(path.read_text())
        if lines:
            found[name] = lines
    assert found == {}
