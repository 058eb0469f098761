"""Look for what questions must not say, and for how much they say all the same.

    python tools/questions/check.py val.jsonl --split val \\
        --annotations data/ek100/mmfusion/annotation.json

    python tools/questions/check.py val.jsonl --split val --train train.jsonl \\
        --annotations data/ek100/mmfusion/annotation.json \\
        --tokenizer models/roberta-base

Prints leaks (a question that holds its own answer) and unmasked words (a question that
holds the other head's answer) by kind, doubles, lengths, and the leak meter: how often
a text-only classifier names the class from the words. Exit code: 0 clean, 1 a leak or
an unmasked word was found, 2 the file or the command is wrong.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from _shared import fail, read_annotation  # this folder is on the path of a command
from rich.console import Console
from rich.table import Table

from mmfusion.layouts.epic_kitchens import natural
from mmfusion.questions.clips import Clip
from mmfusion.questions.masking import Masker
from mmfusion.questions.records import (
    ORACLE_SOURCES,
    QuestionRecord,
    load_questions,
)
from mmfusion.questions.report import Report, count_words, examine
from mmfusion.questions.vocabulary import TASKS, Vocabulary
from mmfusion.utils.errors import InputError
from mmfusion.utils.hugging_face import load_tokenizer

_MIN_METERED = 20  # clips; two halves of fewer say nothing


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("file", type=Path, help="the .jsonl to check")
    add("--annotations", type=Path, help="annotation.json: ids and classes it must fit")
    add("--split", help="of the annotation, if it has several")
    add("--partial", action="store_true", help="not every clip needs a question")
    add("--max-tokens", type=int, default=40, help="what a model reads of a question")
    add("--tokenizer", type=Path, help="folder of the model's; else words are counted")
    add(
        "--train",
        type=Path,
        help="training questions of this source, to learn from",
    )
    add("--train-split", default="train", help="their split of the annotation")
    add("--no-leak-meter", action="store_true")
    return parser.parse_args()


def length_of(tokenizer: Path | None) -> Callable[[str], int]:
    """Counts tokens as the model does, with its mask token, or words."""
    if tokenizer is None:
        return count_words
    if not tokenizer.is_dir():
        raise InputError(f"--tokenizer {tokenizer}: no such folder")
    reader = load_tokenizer(str(tokenizer))
    mask = reader.mask_token or "<mask>"
    return lambda text: len(reader(text.replace("<mask>", mask))["input_ids"])


def print_findings(
    title: str, counts: Counter[tuple[str, str]], console: Console
) -> None:
    """One row per kind; one line if there is none."""
    if not counts:
        console.print(f"{title}: none")
        return
    table = Table("kind", *(f"{task} question" for task in TASKS), title=title)
    for kind in sorted({kind for _, kind in counts}):
        table.add_row(kind, *(str(counts[task, kind]) for task in TASKS))
    console.print(table)


def print_report(report: Report, args: argparse.Namespace, console: Console) -> None:
    """Print the findings."""
    sources = ", ".join(f"{n} {source}" for source, n in report.sources.items())
    console.print(f"{report.num_records} records: {sources}")
    if any(source in ORACLE_SOURCES for source in report.sources):
        console.print(
            "ground_truth questions are written from the label: a model tested with "
            "them is told by an oracle"
        )
    console.print(f"models: {', '.join(sorted(report.models))}", markup=False)
    print_findings("leaks: a question holds its own answer", report.leaks, console)
    print_findings(
        "unmasked: a question holds the other answer", report.unmasked, console
    )
    for sort, findings in report.examples.items():
        for one in findings:
            console.print(
                f"  {sort} {one.narration_id} ({one.kind} {one.found!r}): "
                f"{one.question}",
                markup=False,
            )
    if report.without_answer:
        console.print(
            f"{report.without_answer} questions have no answer in the file: nothing to "
            "search for in them"
        )
    unit = "words (no --tokenizer)" if args.tokenizer is None else "tokens"
    table = Table("task", "different", "commonest", "with mask", unit, "cut off")
    for task in TASKS:
        lengths = report.lengths[task]
        table.add_row(
            task,
            str(report.num_different[task]),
            f"{report.commonest[task][1]} times",
            str(report.with_mask[task]),
            "{} / {} / {}".format(*lengths.summary()),
            f"{lengths.over(args.max_tokens)} over {args.max_tokens}",
        )
    console.print(table)


def asked_clips(
    records: Mapping[str, QuestionRecord], labels: Mapping[str, tuple[str, str]]
) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """Both questions and both classes' names of the clips whose classes are known."""
    chosen = [records[name] for name in records if name in labels]
    return (
        [record.verb_question for record in chosen],
        [record.noun_question for record in chosen],
        [labels[record.narration_id] for record in chosen],
    )


def class_labels(
    records: Mapping[str, QuestionRecord],
    clips: Sequence[Clip] | None,
    vocabulary: Vocabulary | None,
) -> dict[str, tuple[str, str]]:
    """By id, names of both classes: the annotation's, else the file's own answers."""
    if clips is None:
        pairs = {n: (r.verb_answer, r.noun_answer) for n, r in records.items()}
    else:
        pairs = {clip.narration_id: (clip.verb, clip.noun) for clip in clips}
    found = {}
    for name, (verb, noun) in pairs.items():
        if verb is not None and noun is not None:
            found[name] = (
                _class_name(vocabulary, "verb", verb),
                _class_name(vocabulary, "noun", noun),
            )
    return found


def _class_name(vocabulary: Vocabulary | None, task: str, name: str) -> str:
    numbers = vocabulary.find(task, name) if vocabulary is not None else ()
    if vocabulary is None or not numbers:
        return natural(name)
    return vocabulary.classes[task][numbers[0]].key


def print_leak_meter(
    asked: tuple[list[str], list[str], list[tuple[str, str]]],
    train: tuple[list[str], list[str], list[tuple[str, str]]] | None,
    console: Console,
) -> None:
    """Accuracy of a text-only classifier on the questions."""
    if len(asked[2]) < _MIN_METERED:
        console.print(
            f"leak meter: not measured, {len(asked[2])} clips have known classes; "
            f"expected {_MIN_METERED} or more (give --annotations)"
        )
        return
    # seconds to import, for those who want no meter
    from mmfusion.evaluation.leak_meter import AskedClips, measure_leak

    both = [*asked[2], *(train[2] if train is not None else [])]
    numbers = [
        {name: i for i, name in enumerate(dict.fromkeys(pair[t] for pair in both))}
        for t in range(len(TASKS))
    ]

    def made(part: tuple[list[str], list[str], list[tuple[str, str]]]) -> AskedClips:
        verbs, nouns = (
            np.array([numbers[t][pair[t]] for pair in part[2]], np.int64)
            for t in range(len(TASKS))
        )
        return AskedClips(part[0], part[1], verbs, nouns)

    leaks = measure_leak(made(asked), made(train) if train is not None else None)
    learnt = "the training questions" if train is not None else "the other half"
    table = Table("leak meter", "text only %", "majority %", "chance %")
    for task, leak in leaks.items():
        row = (leak.accuracy, leak.majority, leak.chance)
        table.add_row(task, *(f"{number:.1f}" for number in row))
    console.print(table)
    console.print(f"learnt from {learnt}, n = {len(asked[2])}")


def check(args: argparse.Namespace, console: Console) -> int:
    """The whole check; the exit code."""
    ids = clips = vocabulary = None
    if args.annotations is not None:
        ids, clips, vocabulary = read_annotation(args.annotations, args.split)
    records = load_questions(args.file, known=ids, needed=None if args.partial else ids)
    if not records:
        raise InputError(f"{args.file}: there is no question in it")
    report = examine(
        records.values(), Masker(vocabulary), length=length_of(args.tokenizer)
    )
    print_report(report, args, console)
    if not args.no_leak_meter:
        asked = asked_clips(records, class_labels(records, clips, vocabulary))
        print_leak_meter(asked, training(args, vocabulary), console)
    console.print("clean" if report.is_clean else "not clean")
    return 0 if report.is_clean else 1


def training(
    args: argparse.Namespace, vocabulary: Vocabulary | None
) -> tuple[list[str], list[str], list[tuple[str, str]]] | None:
    """The training questions with their classes, if they are given."""
    if args.train is None:
        return None
    records = load_questions(args.train)
    clips = None
    if args.annotations is not None:
        clips = read_annotation(args.annotations, args.train_split).clips
    return asked_clips(records, class_labels(records, clips, vocabulary))


def main() -> None:
    args = parse_args()
    try:
        code = check(args, Console())
    except (ValueError, OSError, ImportError) as error:
        fail(2, error)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
