"""Write or check the file that EPIC-KITCHENS-100's challenges take.

    python tools/test.py CONFIG CHECKPOINT --dump work_dirs/x/test.npz
    python tools/data/ek100/write_challenge.py work_dirs/x/test.npz test.zip \\
        --task recognition --root data/ek100 --supervision 2 5 3
    python tools/data/ek100/write_challenge.py --check test.zip \\
        --task recognition --root data/ek100

The scores are those of a dump; the narration ids must be exactly those of the split.
--supervision says what the model was trained with (PT, TL, TD, 0 to 5 each,
github.com/epic-kitchens/sls): questions that are written from labels are knowledge
beyond them, TL 5. Exit codes: 0 done, 2 wrong command, or a file that would be refused.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmfusion.evaluation.ek100 import scores_of
from mmfusion.evaluation.challenge import (
    NUM_ACTIONS,
    Supervision,
    check_ids,
    check_submission,
    read_submission,
    write_submission,
)
from mmfusion.evaluation.predictions import load_predictions
from mmfusion.layouts import epic_kitchens as epic
from mmfusion.utils.commands import command_parser, errors_in_one_line

def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("files", nargs="+", type=Path, help="DUMP OUT.zip, or with --check the zip")
    add("--check", action="store_true", help="check a file instead of writing one")
    add("--task", required=True, choices=["recognition", "anticipation"])
    add("--root", required=True, type=Path, help="folder of the annotations' csv files")
    add("--split", choices=["test", "val"], default="test")
    add("--supervision", type=int, nargs=3, metavar=("PT", "TL", "TD"))
    args = parser.parse_args(argv)
    if len(args.files) != (1 if args.check else 2):
        parser.error("expected DUMP and OUT.zip, or --check and one file")
    if not args.check and args.supervision is None:
        parser.error("--supervision is needed: what was the model trained with?")
    return args


def read_split(root: Path, split: str) -> tuple[list[str], dict[str, int]]:
    """Narration ids of a split in the order of its csv, and the numbers of classes."""
    classes = epic.read_classes(root)
    segments = epic.read_segments(root / epic.SEGMENT_FILES[split], classes)
    sizes = {"verb": len(classes.verb), "noun": len(classes.noun)}
    return [one.narration_id for one in segments], sizes


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    ids, sizes = read_split(args.root, args.split)
    count = min(NUM_ACTIONS, sizes["verb"] * sizes["noun"])
    out = args.files[-1]
    if not args.check:
        dump = load_predictions(args.files[0])
        check_ids(dump.ids, ids)  # before a file is written
        pairs = dump.metainfo.get("action_pairs")
        scores = scores_of(dump.score, pairs, sizes)
        count = min(NUM_ACTIONS, scores.num_actions)
        write_submission(
            out,
            dump.ids,
            scores,
            challenge=f"action_{args.task}",
            supervision=Supervision(*args.supervision),
            num_actions=count,
        )
    found = read_submission(out)
    check_submission(
        found,
        ids,
        challenge=f"action_{args.task}",
        num_verbs=sizes["verb"],
        num_nouns=sizes["noun"],
        num_actions=count,
    )
    print(f"{out}: {len(ids)} segments, complete, {args.task}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
