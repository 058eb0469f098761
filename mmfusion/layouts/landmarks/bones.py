"""Bones of one's own skeleton, from a file of pairs."""

import re
from pathlib import Path
from typing import Any

from mmfusion.layouts.csv_rows import read_rows
from mmfusion.utils.errors import AnnotationError
from mmfusion.utils.schema import shown
from mmfusion.utils.text_files import read_json

_WHOLE = re.compile(r"\s*[0-9]{1,9}\s*")


def read_bones(path: Path) -> dict[str, Any]:
    """``bones`` of a skeleton, and ``joints`` where the file names them.

    A csv has a pair in a row, ``0,1``; a json a list of pairs, or an object of
    ``bones`` and ``joints``. In it, and only there, pairs may be of names.

    Raises:
        AnnotationError: names the file and the pair.
    """
    joints: Any = None
    if path.suffix.lower() == ".json":
        pairs = read_json(path)
        if isinstance(pairs, dict):
            joints, pairs = pairs.get("joints"), pairs.get("bones")
        if not isinstance(pairs, list):
            raise AnnotationError(
                f"{path} holds {shown(pairs)}; expected a list of pairs, such as"
                " [[0, 1], [1, 2]], or an object with it as 'bones'"
            )
        rows = [(f"{path}: pair {n}", pair) for n, pair in enumerate(pairs)]
    else:
        rows = [
            (place, [int(c) if _WHOLE.fullmatch(c) else c.strip() for c in cells])
            for place, cells in read_rows(path)
        ]
    if joints is not None and not (
        isinstance(joints, list) and all(isinstance(one, str) for one in joints)
    ):
        raise AnnotationError(
            f"{path}: joints is {shown(joints)}; expected a list of names"
        )
    bones = []
    for place, pair in rows:
        ends = pair if isinstance(pair, list) else []
        ends = [joints.index(e) if joints and e in joints else e for e in ends]
        if len(ends) != 2 or not all(type(e) is int and e >= 0 for e in ends):
            raise AnnotationError(
                f"{place} is {shown(pair)}; expected two numbers of joints, counted"
                " from 0" + (", or two of the names" if joints else "")
            )
        bones.append(ends)
    return {"bones": bones} if joints is None else {"joints": joints, "bones": bones}
