"""Write or check the file that EPIC-KITCHENS-100's challenges take.

    python tools/test.py CONFIG CHECKPOINT --dump work_dirs/x/test.npz
    python tools/data/ek100/write_challenge.py work_dirs/x/test.npz test.zip \\
        --task recognition --root data/ek100 --supervision 2 5 3
    python tools/data/ek100/write_challenge.py --check test.zip \\
        --task recognition --root data/ek100

The scores are those of a dump; the narration ids must be exactly those of the split.
--supervision says what the model was trained with (PT, TL, TD, 0 to 5 each,
github.com/epic-kitchens/sls): questions that are written from labels are knowledge
beyond them, TL 5. Exit codes: 0 done, 1 the file would be refused, 2 wrong command.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmfusion.evaluation.ek100 import Scores, log_probabilities, marginalise
from mmfusion.evaluation.challenge import (
    NUM_ACTIONS,
    SubmissionError,
    Supervision,
    check_ids,
    check_submission,
    read_submission,
    write_submission,
)
from mmfusion.evaluation.predictions import Predictions, load_predictions

SEGMENTS = {"test": "EPIC_100_test_timestamps.csv", "val": "EPIC_100_validation.csv"}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("files", nargs="+", type=Path, help="DUMP OUT.zip, or with --check the zip")
    add("--check", action="store_true", help="check a file instead of writing one")
    add("--task", required=True, choices=["recognition", "anticipation"])
    add("--root", required=True, type=Path, help="folder of the annotations' csv files")
    add("--split", choices=list(SEGMENTS), default="test")
    add("--supervision", type=int, nargs=3, metavar=("PT", "TL", "TD"))
    args = parser.parse_args(argv)
    if len(args.files) != (1 if args.check else 2):
        parser.error("expected DUMP and OUT.zip, or --check and one file")
    if not args.check and args.supervision is None:
        parser.error("--supervision is needed: what was the model trained with?")
    return args


def expected_ids(root: Path, split: str) -> list[str]:
    """The narration ids of a split, in the order of its csv."""
    return [row["narration_id"] for row in _rows(root / SEGMENTS[split])]


def num_classes(root: Path) -> tuple[int, int]:
    """Of verbs and of nouns."""
    names = ("EPIC_100_verb_classes.csv", "EPIC_100_noun_classes.csv")
    verbs, nouns = (len(_rows(root / name)) for name in names)
    return verbs, nouns


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def scores_of(dump: Predictions, sizes: tuple[int, int]) -> Scores:
    """Scores of a dump; verb and noun of an action head alone are its sums."""
    score = dump.score
    pairs = np.asarray(dump.metainfo.get("action_pairs") or (), np.int64)
    verb, noun, action = (score.get(task) for task in ("verb", "noun", "action"))
    if action is not None and len(pairs) != action.shape[1]:
        raise ValueError(
            f"the dump scores {action.shape[1]} actions, its metainfo has "
            f"{len(pairs)} action_pairs; expected one for each"
        )
    if action is not None and (verb is None or noun is None):
        verb, noun = marginalise(action, pairs, *sizes)
    if verb is None or noun is None:
        raise ValueError(f"the dump has scores of {[*score]}, expected verb and noun")
    return Scores(
        log_probabilities(verb),
        log_probabilities(noun),
        None if action is None else log_probabilities(action),
        None if action is None else pairs,
    )


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    try:
        ids, sizes = expected_ids(args.root, args.split), num_classes(args.root)
        count = min(NUM_ACTIONS, sizes[0] * sizes[1])
        out = args.files[-1]
        if not args.check:
            dump = load_predictions(args.files[0])
            check_ids(dump.ids, ids)  # before a file is written
            scores = scores_of(dump, sizes)
            if scores.action is not None:
                count = min(NUM_ACTIONS, scores.action.shape[1])
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
            num_verbs=sizes[0],
            num_nouns=sizes[1],
            num_actions=count,
        )
    except SubmissionError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{out}: {len(ids)} segments, complete, {args.task}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
