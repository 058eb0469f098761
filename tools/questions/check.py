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
from _shared import read_annotation  # this folder is on the path of a command
from rich.console import Console
from rich.table import Table

from mmfusion.evaluation.leak_meter import AskedClips, measure_leak
from mmfusion.layouts.epic_kitchens import natural
from mmfusion.questions.clips import Clip
from mmfusion.questions.masking import Masker
from mmfusion.questions.records import ORACLE_SOURCES, QuestionRecord, load_questions
from mmfusion.questions.report import Report, count_words, examine
from mmfusion.questions.vocabulary import TASKS, Vocabulary
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.errors import InputError
from mmfusion.utils.hugging_face import load_tokenizer

_MIN_METERED = 20  # clips; two halves of fewer say nothing


def parse_args() -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("file", type=Path, help="the .jsonl to check")
    add("--annotations", type=Path, help="annotation.json: ids and classes it must fit")
    add("--split", help="of the annotation, if it has several")
    add("--partial", action="store_true", help="not every clip needs a question")
    add("--max-tokens", type=int, default=40, help="what a model reads of a question")
    add("--tokenizer", type=Path, help="folder of the model's; else words are counted")
    add("--train", type=Path, help="training questions of this source, to learn from")
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


class ClassNumbers:
    """Numbers of the clips' classes: the annotation's, else the file's own answers.

    Args:
        vocabulary: names that it has in one class are one class.
    """

    def __init__(self, vocabulary: Vocabulary | None) -> None:
        self.vocabulary = vocabulary or Vocabulary((), ())
        self._numbers: dict[str, dict[str, int]] = {task: {} for task in TASKS}

    def asked_clips(
        self, records: Mapping[str, QuestionRecord], clips: Sequence[Clip] | None
    ) -> AskedClips | None:
        """Questions and classes of the clips that have both; None without any."""
        if clips is None:
            pairs = {n: (r.verb_answer, r.noun_answer) for n, r in records.items()}
        else:
            pairs = {clip.narration_id: (clip.verb, clip.noun) for clip in clips}
        chosen = [n for n in records if None not in pairs.get(n, (None,))]
        if not chosen:
            return None
        verbs, nouns = (
            np.array([self._number(task, str(pairs[n][t])) for n in chosen])
            for t, task in enumerate(TASKS)
        )
        asked = [records[name] for name in chosen]
        return AskedClips(
            [record.verb_question for record in asked],
            [record.noun_question for record in asked],
            verbs,
            nouns,
        )

    def _number(self, task: str, name: str) -> int:
        found = self.vocabulary.find(task, name)
        key = self.vocabulary.classes[task][found[0]].key if found else natural(name)
        return self._numbers[task].setdefault(key, len(self._numbers[task]))


def print_leak_meter(
    asked: AskedClips | None, train: AskedClips | None, console: Console
) -> None:
    """Accuracy of a text-only classifier on the questions."""
    count = 0 if asked is None else len(asked)
    if asked is None or count < _MIN_METERED:
        console.print(
            f"leak meter: not measured, {count} clips have known classes; "
            f"expected {_MIN_METERED} or more (give --annotations)"
        )
        return
    table = Table("leak meter", "text only %", "majority %", "chance %")
    for task, leak in measure_leak(asked, train).items():
        row = (leak.accuracy, leak.majority, leak.chance)
        table.add_row(task, *(f"{number:.1f}" for number in row))
    console.print(table)
    learnt = "the training questions" if train is not None else "the other half"
    console.print(f"learnt from {learnt}, n = {count}")


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
        numbers = ClassNumbers(vocabulary)
        asked = numbers.asked_clips(records, clips)
        print_leak_meter(asked, training(args, numbers), console)
    console.print("clean" if report.is_clean else "not clean")
    return 0 if report.is_clean else 1


def training(args: argparse.Namespace, numbers: ClassNumbers) -> AskedClips | None:
    """The training questions with their classes, if they are given."""
    if args.train is None:
        return None
    records = load_questions(args.train)
    clips = None
    if args.annotations is not None:
        clips = read_annotation(args.annotations, args.train_split).clips
    asked = numbers.asked_clips(records, clips)
    if asked is None:
        raise InputError(f"--train {args.train}: no clip in it has known classes")
    return asked


@errors_in_one_line
def main() -> int:
    return check(parse_args(), Console())


if __name__ == "__main__":
    raise SystemExit(main())
