"""Errors of ours, by which tools tell a user's mistake from one of theirs."""

import builtins
import re
from pathlib import Path


def test_what_we_refuse_is_an_error_of_ours():
    """A bare ValueError would be a traceback in a tool, as a mistake of ours is."""
    root = Path(__file__).parents[2] / "mmfusion"
    found = [
        f"{path.relative_to(root)}:{number}"
        for path in root.rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"raise (ValueError|Exception)\b", line)
    ]
    assert found == []


def test_every_error_class_of_ours_has_the_one_base():
    root = Path(__file__).parents[2] / "mmfusion"
    alone = {"BuildError", "TrainingStopped", "_StampMismatch"}  # caught by ourselves
    for path in root.rglob("*.py"):
        for name, bases in re.findall(r"^class (\w+)\((.*)\):", path.read_text(), re.M):
            plain = r"^(\w*Error|Exception)$"
            if name not in alone and re.match(plain, bases) and name != "MMFusionError":
                assert bases not in vars(builtins), f"{path}: {name}({bases})"
