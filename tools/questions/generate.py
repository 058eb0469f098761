"""Write one verb question and one noun question for each clip of an annotation.

Offline, from templates (the default; seconds for a whole split):

    python tools/questions/generate.py --split val --out val.jsonl \\
        --annotations data/ek100/mmfusion/annotation.json

By a server that speaks OpenAI's protocol; what it will cost first, then for good:

    python tools/questions/generate.py --split train --out train.jsonl \\
        --annotations data/ek100/mmfusion/annotation.json \\
        --writer openai --model gpt-4o --price-in 2.5 --price-out 10 --dry-run

By a local model:

    python tools/questions/generate.py ... --writer huggingface --model models/qwen

Interrupted anywhere, the same command goes on: answers are kept in OUT.cache.sqlite,
and nothing is asked twice. Clips without a usable answer are listed in
OUT.rejects.jsonl. Exit code: 0 all clips have questions; 1 some have not, or the run
was stopped; 2 the command is wrong.
"""

import argparse
import json
import signal
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from _shared import read_annotation  # this folder is on the path of a command
from _writers import add_writer_arguments, build_writer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from mmfusion.questions.cache import AnswerCache
from mmfusion.questions.clips import Clip
from mmfusion.questions.generation import Generation, Outcome, Progress, StoppedError
from mmfusion.questions.generic import generic_record
from mmfusion.questions.masking import Masker
from mmfusion.questions.records import write_questions
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.paths import check_writable_as_file, write_atomic

_MILLION = 1e6


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    parser.add_argument(
        "--annotations",
        type=Path,
        required=True,
        help="the annotation.json that tools/data/<dataset>/prepare.py wrote",
    )
    parser.add_argument("--split", help="of the annotation, if it has several")
    parser.add_argument("--out", type=Path, required=True, help="the .jsonl to write")
    parser.add_argument(
        "--source",
        default="ground_truth",
        choices=["ground_truth", "generic", "informative"],
        help="what is written into each record; generic writes the fixed questions",
    )
    parser.add_argument("--limit", type=int, help="only the first so many clips")
    parser.add_argument(
        "--dry-run", action="store_true", help="count clips, requests and cost; stop"
    )
    add_writer_arguments(parser)
    args = parser.parse_args(argv)
    if args.limit is not None and args.limit < 1:
        parser.error(f"--limit is {args.limit}; expected 1 or more")
    if args.writer != "template" and args.source != "generic" and not args.model:
        parser.error(f"--writer {args.writer} needs --model")
    return args


def write_generic(args: argparse.Namespace, console: Console) -> None:
    """The fixed questions; they need no labels, so the test split will do."""
    ids = read_annotation(args.annotations, args.split, labelled=False).ids
    write_questions(args.out, map(generic_record, ids[: args.limit]))
    console.print(f"{len(ids[: args.limit])} clips with the generic questions")


def cost_of(tokens_in: float, tokens_out: float, args: argparse.Namespace) -> float:
    """Cost in the currency of the prices."""
    spent = tokens_in * args.price_in + tokens_out * args.price_out
    return float(spent) / _MILLION


def print_plan(
    clips: Sequence[Clip], run: Generation, args: argparse.Namespace, console: Console
) -> None:
    """Print the number of requests, and what they would cost."""
    jobs = run.jobs(clips)
    sizes = [run.writer.estimate_tokens(members[0]) for members in jobs.values()]
    tokens_in, tokens_out = (sum(column) for column in zip(*sizes, strict=True))
    console.print(f"{len(clips)} clips, {len(jobs)} different: two requests for each")
    if run.writer.keeps_answers:
        console.print(
            f"about {tokens_in} tokens to read and {tokens_out} to write (4 characters "
            f"a token, no retries): {cost_of(tokens_in, tokens_out, args):.2f} at "
            f"{args.price_in} and {args.price_out} a million"
        )
        console.print(f"the cache holds {len(run.cache)} answers; those cost nothing")


class Display:
    """A bar with rate, remaining time, and cost so far and to come."""

    def __init__(self, total: int, args: argparse.Namespace, console: Console) -> None:
        self.args = args
        columns = (
            "questions",
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self.bar = Bar(*columns, console=console)
        self.task = self.bar.add_task("", total=total, note="")

    def show(self, progress: Progress) -> None:
        seconds = self.bar.tasks[0].elapsed or 0.0
        note = f"{progress.done / max(seconds, 1e-9):.1f} a second"
        spent = cost_of(progress.tokens_in, progress.tokens_out, self.args)
        if spent:
            rest = spent * (progress.total - progress.done) / max(progress.done, 1)
            note += f", cost {spent:.2f}, to come about {rest:.2f}"
        if progress.rejected:
            note += f", {progress.rejected} rejected"
        self.bar.update(self.task, completed=progress.done, note=note)


def stop_on_signals(run: Generation, console: Console) -> None:
    """Finish what is under way at the first SIGINT or SIGTERM; the second ends it."""

    def handle(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        console.print("stopping: requests under way are finished; once more to quit")
        run.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def finish(outcome: Outcome, args: argparse.Namespace, console: Console) -> int:
    """Write the questions and the rejects; the exit code."""
    write_questions(args.out, outcome.records)
    rejects = args.out.with_name(f"{args.out.name}.rejects.jsonl")
    if not outcome.rejects:
        rejects.unlink(missing_ok=True)
        console.print(f"{len(outcome.records)} clips with questions in {args.out}")
        return 0
    lines = (json.dumps(asdict(one), ensure_ascii=False) for one in outcome.rejects)
    write_atomic(str(rejects), ("\n".join(lines) + "\n").encode())
    console.print(
        f"{len(outcome.records)} clips with questions in {args.out}; "
        f"{len(outcome.rejects)} without, each with its reason in {rejects}"
    )
    for reject in outcome.rejects[:3]:
        console.print(f"  {reject.narration_id}: {reject.reason[:160]}", markup=False)
    console.print(
        "Run the same command again: requests that brought no answer are repeated. For "
        "answers that were refused give more --attempts"
    )
    return 1


def generate(args: argparse.Namespace, console: Console) -> int:
    """The run itself; the exit code."""
    check_writable_as_file(args.out)
    if args.source == "generic":
        write_generic(args, console)
        return 0
    annotation = read_annotation(args.annotations, args.split)
    clips = annotation.clips[: args.limit]
    masker = Masker(annotation.vocabulary)
    writer = build_writer(args, masker)
    path = args.cache or args.out.with_name(f"{args.out.name}.cache.sqlite")
    forgets = not writer.keeps_answers or (args.dry_run and not path.exists())
    with AnswerCache(":memory:" if forgets else path) as cache:
        run = Generation(
            writer,
            masker,
            cache,
            source=args.source,
            num_attempts=args.attempts,
            num_workers=args.workers if args.writer == "openai" else 1,
            num_variants=args.variants,
        )
        if args.dry_run:
            print_plan(clips, run, args, console)
            return 0
        stop_on_signals(run, console)
        display = Display(len(clips), args, console)
        with display.bar:
            outcome = run.run(clips, display.show)
    return finish(outcome, args, console)


@errors_in_one_line
def main() -> int:
    try:
        return generate(parse_args(), Console())
    except KeyboardInterrupt:  # before or after the run, which has its own handler
        raise StoppedError("stopped; what was answered is kept") from None


if __name__ == "__main__":
    raise SystemExit(main())
