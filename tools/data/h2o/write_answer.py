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

import numpy as np

from mmfusion.evaluation.predictions import Predictions, load_predictions
from mmfusion.layouts.h2o import ACTIONS
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.errors import InputError

NUM_TEST_CLIPS = 242


def labels_of(predictions: Predictions, count: int = NUM_TEST_CLIPS) -> dict[int, int]:
    """``{test row 1..count: action number 1..36}``.

    Args:
        predictions: of the test clips; ids end with ``#<row>``.
        count: how many rows the test file has.

    Raises:
        ValueError: a clip lacks, is there twice, or has no 36 finite scores.
    """
    score = predictions.score.get("action", np.zeros((0, 0)))  # (n, 36)
    if score.shape[1] != len(ACTIONS) or not np.isfinite(score).all():
        raise InputError(f"a score of 'action' is not {len(ACTIONS)} finite numbers")
    rows = [_row_of(name, count) for name in predictions.ids]
    labels = dict(zip(rows, (score.argmax(axis=1) + 1).tolist(), strict=True))
    lacking = sorted(set(range(1, count + 1)) - set(labels))
    if lacking or len(rows) > count:
        raise InputError(
            f"{len(lacking)} of {count} test clips are not among the {len(rows)} in the"
            f" dump: {lacking[:10]}; expected each once"
        )
    return dict(sorted(labels.items()))


def _row_of(name: str, count: int) -> int:
    """The row of the test file at the end of a clip's id."""
    subject, _, row = name.rpartition("#")
    if not subject.startswith("subject4/") or not row.isascii() or not row.isdigit():
        raise InputError(
            f"id is {name!r}, expected one of the test split, e.g. subject4/h1/0#1"
        )
    if not 1 <= int(row) <= count:
        raise InputError(f"id is {name!r}, expected a row 1..{count}")
    return int(row)


def zip_answer(labels: dict[int, int], modality: str) -> bytes:
    """The archive to hand in."""
    answer = {"modality": modality} | {str(row): label for row, label in labels.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("action_labels.json", json.dumps(answer))
    return buffer.getvalue()


def main(argv: list[str] | None = None) -> int:
    parser = command_parser(__doc__)
    parser.add_argument("dump", type=Path, help="file of tools/test.py --dump")
    parser.add_argument("--out", type=Path, default=Path("answer.zip"))
    parser.add_argument(
        "--modality", required=True, help="what was used: rgb, hand, hand+rgb, ..."
    )
    args = parser.parse_args(argv)
    labels = labels_of(load_predictions(args.dump))
    write_atomic(str(args.out), zip_answer(labels, args.modality))
    print(f"wrote {args.out}: {len(labels)} clips, modality {args.modality}")
    return 0


if __name__ == "__main__":
    sys.exit(errors_in_one_line(main)())
