"""Questions for clips whose label nobody knows: by a recogniser and a training bank.

    python tools/test.py CONFIG CHECKPOINT --dump observed.npz
    python tools/questions/from_predictions.py --predictions observed.npz \\
        --train-questions train.jsonl \\
        --annotations data/ek100/mmfusion/annotation.json \\
        --out predicted_validation.jsonl

The dump holds a recogniser's scores of what was seen: for anticipation, of the observed
part. Its best verb and noun choose a question from the bank; a pair that training never
had gets a question for its verb and one for its noun, at the worst the generic ones.
The label of a clip is never used to choose: it only gives the recogniser's accuracy,
which is written with the counts into OUT.meta.json. Exit code: 0 done, 2 the command
is wrong.
"""

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _shared import Annotation, read_annotation  # beside this file
from rich.console import Console
from rich.progress import track
from rich.table import Table

from mmfusion.evaluation.ek100 import with_marginals
from mmfusion.evaluation.functional import topk_correct
from mmfusion.evaluation.predictions import NO_LABEL, Predictions, load_predictions
from mmfusion.layouts.epic_kitchens import natural
from mmfusion.questions.bank import LEVELS, QuestionBank
from mmfusion.questions.clips import Clip
from mmfusion.questions.masking import Masker
from mmfusion.questions.records import QuestionRecord, load_questions, write_questions
from mmfusion.questions.vocabulary import TASKS, Vocabulary
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.errors import InputError
from mmfusion.utils.paths import write_atomic

_SHOWN = ("split", "checkpoint", "tau_a", "tau_o")  # of a dump's metainfo


def parse_args() -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--predictions", type=Path, required=True, help="dump of tools/test.py")
    add("--train-questions", type=Path, required=True, help="questions for the bank")
    add("--annotations", type=Path, required=True, help="annotation.json: their labels")
    add("--train-split", default="train", help="their split of the annotation")
    add("--out", type=Path, required=True, help="the .jsonl to write")
    add("--recogniser", help="its name in the file; the dump's name if not given")
    add(
        "--training-clips",
        action="store_true",
        help="the dump is of training clips: each is asked another clip's question",
    )
    return parser.parse_args()


def read_dump(path: Path, vocabulary: Vocabulary | None) -> Predictions:
    """A dump with scores of verb and noun, summed where it has those of actions only.

    Raises:
        ValueError: it has neither, or another number of classes than there are names.
    """
    dump = load_predictions(path)
    names = class_names(dump, vocabulary)
    sizes = {task: len(names[task]) for task in TASKS}
    score = with_marginals(dump.score, dump.metainfo.get("action_pairs"), sizes)
    for task, size in sizes.items():
        width = score[task].shape[1]
        if size != width:
            raise InputError(
                f"the dump has scores of {width} {task} classes, and there are "
                f"{size} names; give the annotation of the model's dataset"
            )
    return replace(dump, score=score)


def class_names(
    predictions: Predictions, vocabulary: Vocabulary | None
) -> dict[str, list[str]]:
    """By task, the class names in the order of the scores."""
    if vocabulary is not None:
        names = {t: [one.key for one in vocabulary.classes[t]] for t in TASKS}
    else:
        names = predictions.metainfo.get("classes", {})
    return {task: [natural(name) for name in names.get(task) or ()] for task in TASKS}


def training_labels(
    clips: Sequence[Clip], names: dict[str, list[str]]
) -> dict[str, tuple[str, str]]:
    """Class names of the training clips; one without a noun is of no use."""
    found = {}
    for clip in clips:
        verb, noun = clip.verb, clip.noun
        if clip.verb_class is not None and clip.noun_class is not None:
            verb, noun = names["verb"][clip.verb_class], names["noun"][clip.noun_class]
        if noun is not None:
            found[clip.narration_id] = (verb, noun)
    return found


def accuracy(predictions: Predictions) -> dict[str, float | int | None]:
    """Top-1 of the recogniser in percent, over the clips whose label the dump has."""
    labels = {task: predictions.gt.get(task, NO_LABEL) for task in TASKS}
    known = np.ones(len(predictions), bool)
    for own in labels.values():
        known &= own != NO_LABEL
    if not known.any():
        return {"num_labelled": 0, "verb": None, "noun": None, "action": None}
    right = {
        task: topk_correct(predictions.score[task][known], own[known], 1)
        for task, own in labels.items()
    }
    right["action"] = right["verb"] & right["noun"]
    percent = {task: 100.0 * float(hits.mean()) for task, hits in right.items()}
    rounded = {task: round(value, 3) for task, value in percent.items()}
    return {"num_labelled": int(known.sum()), **rounded}


def read_bank(
    args: argparse.Namespace, annotation: Annotation, predictions: Predictions
) -> QuestionBank:
    """The bank; ValueError where a clip of the dump is in it."""
    names = class_names(predictions, annotation.vocabulary)
    records = load_questions(args.train_questions)
    labels = training_labels(annotation.clips, names)
    bank = QuestionBank(records.values(), labels, Masker(annotation.vocabulary))
    shared = sorted(bank.ids.intersection(predictions.ids))
    if shared and not args.training_clips:
        raise InputError(
            f"{len(shared)} clips of the dump are in the bank, the first is "
            f"{shared[0]!r}: a bank may hold training questions only. If the dump is "
            "of training clips, say --training-clips"
        )
    return bank


def ask_all(
    predictions: Predictions,
    names: dict[str, list[str]],
    bank: QuestionBank,
    args: argparse.Namespace,
) -> tuple[list[QuestionRecord], Counter[str]]:
    """The records in the dump's order, and how many were found on each level.

    Of the predictions only ids and scores are read.
    """
    best = {task: predictions.score[task].argmax(1) for task in TASKS}
    model = f"{name_of(args)} asking {', '.join(sorted(bank.models))}"
    levels: Counter[str] = Counter()
    found = []
    for i, narration_id in enumerate(track(predictions.ids, "questions")):
        verb, noun = (names[task][int(best[task][i])] for task in TASKS)
        record, level = bank.ask(
            narration_id,
            verb,
            noun,
            model=model,
            prompt_sha256=None,
            leave_out=args.training_clips,
        )
        found.append(record)
        levels[level] += 1
    return found, levels


def name_of(args: argparse.Namespace) -> str:
    """Name of the recogniser."""
    return args.recogniser or args.predictions.stem


def describe(
    args: argparse.Namespace,
    predictions: Predictions,
    bank: QuestionBank,
    levels: Counter[str],
) -> dict[str, Any]:
    """Content of OUT.meta.json."""
    shown = {k: v for k, v in predictions.metainfo.items() if k in _SHOWN}
    return {
        "source": "predicted",
        "recogniser": name_of(args),
        "accuracy": accuracy(predictions),
        "num_clips": len(predictions),
        "found_on": {level: levels[level] for level in LEVELS},
        "bank": {
            "file": args.train_questions.name,
            "sha256": _sha256(args.train_questions),
            "num_questions": len(bank.ids),
            "models": dict(bank.models),
        },
        "predictions": {
            "file": args.predictions.name,
            "sha256": _sha256(args.predictions),
            "metainfo": shown,
        },
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def print_summary(meta: dict[str, Any], title: str, console: Console) -> None:
    """Print the origin of the questions, and how good the recogniser is."""
    table = Table("question found for", "clips", title=title)
    for level, count in meta["found_on"].items():
        table.add_row(level, str(count))
    console.print(table)
    known = meta["accuracy"]
    if not known["num_labelled"]:
        console.print("the dump has no labels: the recogniser's accuracy is not known")
        return
    console.print(
        f"{meta['recogniser']} is right about {known['verb']:.1f} % of verbs, "
        f"{known['noun']:.1f} % of nouns, {known['action']:.1f} % of actions "
        f"(n = {known['num_labelled']})"
    )


def build(args: argparse.Namespace) -> dict[str, Any]:
    """Write the questions and what is said about them; the latter."""
    annotation = read_annotation(args.annotations, args.train_split)
    predictions = read_dump(args.predictions, annotation.vocabulary)
    bank = read_bank(args, annotation, predictions)
    names = class_names(predictions, annotation.vocabulary)
    records, levels = ask_all(predictions, names, bank, args)
    meta = describe(args, predictions, bank, levels)
    write_questions(args.out, records)
    path = args.out.with_name(f"{args.out.name}.meta.json")
    write_atomic(str(path), (json.dumps(meta, indent=1) + "\n").encode())
    return meta


@errors_in_one_line
def main() -> int:
    args = parse_args()
    print_summary(build(args), str(args.out), Console())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
