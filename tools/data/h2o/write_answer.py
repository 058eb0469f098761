"""Write ``answer.zip`` for H2O's hidden test labels from the scores of tools/test.py.

    python tools/test.py CONFIG CHECKPOINT --dump work_dirs/x/test.json
    python tools/data/h2o/write_answer.py work_dirs/x/test.json \
        --modality hand+rgb --out work_dirs/x/answer.zip

The archive holds ``action_labels.json``: the modality and, for each of the 242 test
clips, an action number 1..36. All of them must be there, once each.
"""

import io
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

from mmfusion.layouts.h2o import ACTIONS
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.errors import InputError

NUM_TEST_CLIPS = 242


def labels_of_dump(
    dump: dict[str, Any], task: str = "action", count: int = NUM_TEST_CLIPS
) -> dict[int, int]:
    """``{test row 1..count: action number 1..36}`` of a dump.

    Args:
        dump: what ``tools/test.py --dump`` wrote; ids end with ``#<row>``.
        task: whose scores to take.
        count: how many rows the test file has.

    Raises:
        ValueError: a clip lacks, is there twice, or has no 36 finite scores.
    """
    labels: dict[int, int] = {}
    for one in dump.get("predictions", []):
        row = _row_of(one.get("id"), count)
        scores = one.get("score", {}).get(task)
        if not _are_scores(scores):
            raise InputError(
                f"{one['id']}: score of {task!r} is not {len(ACTIONS)} finite numbers"
            )
        if row in labels:
            raise InputError(f"test clip {row} is in the dump twice ({one['id']})")
        labels[row] = scores.index(max(scores)) + 1
    lacking = sorted(set(range(1, count + 1)) - set(labels))
    if lacking:
        raise InputError(
            f"{len(lacking)} of {count} test clips are not in the dump: {lacking[:10]}"
        )
    return dict(sorted(labels.items()))


def _row_of(name: Any, count: int) -> int:
    """The row of the test file at the end of a clip's id."""
    subject, _, row = str(name).rpartition("#")
    if not subject.startswith("subject4/") or not row.isascii() or not row.isdigit():
        raise InputError(
            f"id is {name!r}, expected one of the test split, e.g. subject4/h1/0#1"
        )
    if not 1 <= int(row) <= count:
        raise InputError(f"id is {name!r}, expected a row 1..{count}")
    return int(row)


def _are_scores(scores: Any) -> bool:
    return (
        isinstance(scores, list)
        and len(scores) == len(ACTIONS)
        and all(isinstance(x, (int, float)) and abs(x) < float("inf") for x in scores)
    )


def zip_answer(labels: dict[int, int], modality: str) -> bytes:
    """The archive to hand in."""
    answer = {"modality": modality} | {str(row): label for row, label in labels.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("action_labels.json", json.dumps(answer))
    return buffer.getvalue()


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(__doc__)
    parser.add_argument("dump", type=Path, help="JSON of tools/test.py --dump")
    parser.add_argument("--out", type=Path, default=Path("answer.zip"))
    parser.add_argument(
        "--modality", required=True, help="what was used: rgb, hand, hand+rgb, ..."
    )
    args = parser.parse_args(argv)
    labels = labels_of_dump(json.loads(args.dump.read_text(encoding="utf-8")))
    write_atomic(str(args.out), zip_answer(labels, args.modality))
    print(f"wrote {args.out}: {len(labels)} clips, modality {args.modality}")
    return 0


if __name__ == "__main__":
    sys.exit(errors_in_one_line(main)())
