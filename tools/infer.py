"""Label videos by a trained model: names and scores, and a video that shows them.

    python tools/infer.py clip.mp4 --model work_dirs/x
    python tools/infer.py VIDEOS/ --model work_dirs/x --out labelled --window 2
    python tools/infer.py --live 0 --model work_dirs/x --out labelled

VIDEO is a video or a folder of videos; for a model of hands alone also their .npz. A
video of up to 8 s is one clip, as in testing; a longer one is cut into windows. Prints
a table; --out gets predictions.json and, for each video, NAME.overlay.mp4 with hands,
classes, a timeline and the weight of each stream. --live labels while frames come: of a
camera (0, 1...), of a video file played at its own rate, or of images that appear in a
folder; Ctrl-C ends it; --out gets live.jsonl, a line an answer. Exit codes: 0 done, 2
wrong input or command, 3 checkpoint unreadable or not of its model.
"""

import argparse
import contextlib
import json
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from mmfusion.apis import Inferencer
from mmfusion.apis.clip_inputs import CAMERA
from mmfusion.apis.live_session import LineFile, LiveSession
from mmfusion.apis.live_sources import open_source
from mmfusion.apis.overlays import shown_task, write_overlay
from mmfusion.apis.predictions import VideoPrediction
from mmfusion.apis.sources import Source, list_sources
from mmfusion.apis.streaming import StreamingRecognizer
from mmfusion.apis.web_page import serve
from mmfusion.apis.windows import read_window
from mmfusion.datasets.error_policy import BROKEN_CLIP_ERRORS
from mmfusion.engine.launch.config_check import load_config
from mmfusion.registry import DATASETS
from mmfusion.structures import main_task
from mmfusion.utils.commands import (
    add_amp_option,
    command_parser,
    errors_in_one_line,
    positive,
)
from mmfusion.utils.errors import InputError
from mmfusion.utils.paths import write_atomic
from mmfusion.visualization import clock, window_turns


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("videos", nargs="*", metavar="VIDEO", help="videos, or folders of videos")
    add("--model", required=True, help="a run's or a model's folder, file, or a config")
    add("--checkpoint", help="weights, where --model is a config")
    add("--out", type=Path, help="folder for predictions.json and the overlay videos")
    add("--no-overlay", action="store_true", help="write predictions.json alone")
    add("--window", default="auto", help="seconds; auto (the default); whole")
    add("--stride", type=float, default=0.5, help="seconds from window to window")
    add("--hands", default="auto", help="auto, extract, none, a file, a folder of them")
    add("--question", help="what the model is asked, where it reads text")
    add("--camera", nargs=6, type=float, metavar=tuple(x.upper() for x in CAMERA))
    add("--top", type=positive, default=5, help="classes that are told")
    add("--task", help="the task of table and overlay; action if there is one")
    add("--fps", type=float, help="speed of the overlays; true to life if left")
    add("--batch-size", type=positive, default=8, help="windows at a time")
    add_amp_option(parser)
    add("--device", help="cuda, cuda:1, cpu; the GPU if there is one, if left")
    add("--strict", action="store_true", help="stop at a video that cannot be read")
    add(
        "--test-clip", help="in place of videos: id or number of a clip of the test set"
    )
    add("--data", help="data_root of that test set; the run's own if left")
    add("--live", metavar="SOURCE", help="camera's number, file to play, or folder")
    add("--limit", type=float, default=0.5, help="seconds to a live answer, at most")
    add("--idle", type=float, help="seconds without a new file that end a live folder")
    add("--serve", action="store_true", help="open a web page on this machine instead")
    add("--port", type=positive, default=7860, help="of that page")
    return parser.parse_args(argv)


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """Arguments of ``Inferencer.predict``."""
    camera = None
    if args.camera is not None:
        camera = dict(zip(CAMERA, args.camera, strict=True))
    return {
        "window": read_window(args.window),
        "stride": args.stride,
        "hands": None if args.hands == "none" else args.hands,
        "question": args.question,
        "camera": camera,
        "batch_size": args.batch_size,
    }


def inferencer_of(args: argparse.Namespace) -> Inferencer:
    return Inferencer(args.model, args.checkpoint, device=args.device, amp=args.amp)


def sources_of(args: argparse.Namespace) -> list[Source]:
    """The videos of the command line, or its clip of the test set."""
    if args.test_clip is None:
        if not args.videos:
            raise InputError("no VIDEO is given; expected videos, or folders of videos")
        return list_sources(args.videos)
    if args.videos:
        raise InputError("--test-clip is given with videos; expected one of the two")
    config = load_config(str(config_of(Path(args.model))))
    return list_sources(find_clip(config, args.data, args.test_clip))


def config_of(model: Path) -> Path:
    """The config file of ``--model``, or that in the folder of a run."""
    if not model.is_dir():
        return model
    found = sorted(model.glob("*.py"))
    if len(found) != 1:
        raise InputError(
            f"{model} has {len(found)} configs (.py); --test-clip expects the folder of"
            " a run, which has one, or --model CONFIG --checkpoint FILE"
        )
    return found[0]


def find_clip(config: Config, data_root: str | None, wanted: str) -> dict[str, Any]:
    """A clip of a config's test set, as its pipeline begins with it."""
    settings = {**config.test_dataloader.dataset, "pipeline": []}
    if data_root is not None:
        settings["data_root"] = data_root
    dataset = DATASETS.build(settings)
    for place in range(len(dataset)):
        if wanted in (dataset.get_record(place)["id"], str(place)):
            return dataset[place]
    raise InputError(
        f"--test-clip {wanted!r} is none of the {len(dataset)} test clips, as"
        f" {dataset.get_record(0)['id']!r}, or 0 to {len(dataset) - 1}"
    )


def label(
    infer: Inferencer, sources: list[Source], args: argparse.Namespace
) -> Iterator[VideoPrediction | dict[str, str]]:
    """Prediction of each video, or why it cannot be read."""
    options = options_of(args)
    for source in sources:
        try:
            yield infer.predict(source, **options)
        except BROKEN_CLIP_ERRORS as error:
            if args.strict or len(sources) == 1:
                raise
            yield {"video": source.name, "reason": str(error)}


def table_of(found: VideoPrediction, task: str, top: int) -> str:
    """The best classes of a video, and which is best when."""
    lines = [f"{found.name}  {clock(found.start)} to {clock(found.end)}"]
    if found.ahead is not None:
        lines[0] += f", what begins {found.ahead:g} s later"
    if found.window is not None and len(found.spans) > 1:
        lines[0] += (
            f", mean of {len(found.spans)} windows of {found.window:g} s"
            f" every {found.stride:g} s"
        )
    for item in found.best(task, found.whole(task), top):
        lines.append(f"  {item['score']:6.1%}  {item['class']}")
    if found.weights:
        shares = (f"{name} {rows.mean():.0%}" for name, rows in found.weights.items())
        lines.append(f"  weights: {', '.join(shares)}")
    hands = found.hands or {}
    if hands.get("source"):
        lines.append(
            f"  hands: {hands['source']}, seen in {hands['seen']:.0%} of its frames"
        )
    lines += [f"  note: {note}" for note in (found.note, hands.get("note")) if note]
    if found.skipped:
        first = found.skipped[0][1]
        lines.append(f"  {len(found.skipped)} windows cannot be read, as: {first}")
    if len(found.spans) > 1:
        lines.append("  timeline")
        lines += [f"    {line}" for line in timeline_of(found, task)]
    return "\n".join(lines)


def timeline_of(found: VideoPrediction, task: str) -> Iterator[str]:
    """One line for each run of windows with the same best class; lines meet."""
    scores = found.scores[task]
    spans = np.array([(span.start, span.end) for span in found.spans])
    turns = window_turns(spans, found.start, found.end)
    best = scores.argmax(axis=1)
    first = 0
    for place in range(1, len(best) + 1):
        if place < len(best) and best[place] == best[first]:
            continue
        start, end = turns[first], turns[place]
        mean = scores[first:place, best[first]].mean()
        name = found.classes[task][best[first]]
        yield f"{clock(start)} to {clock(end)}  {mean:6.1%}  {name}"
        first = place


def overlay_path(out: Path, source: Source, taken: set[Path]) -> Path:
    """A name of its own for the overlay of a video, below ``out``."""
    plain = re.sub(r"[^\w.-]+", "_", source.name)  # of a clip of a dataset
    stem = out / (source.relative.with_suffix("") if source.relative.name else plain)
    path, number = stem.with_name(f"{stem.name}.overlay.mp4"), 2
    while path in taken:
        path = stem.with_name(f"{stem.name}_{number}.overlay.mp4")
        number += 1
    taken.add(path)
    return path


@contextlib.contextmanager
def stopped_by_signal(session: LiveSession) -> Iterator[None]:
    """Let Ctrl-C end a session with its summary; a second one ends the program."""

    def stop(number: int, frame: object) -> None:
        signal.signal(number, before)
        session.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def live(args: argparse.Namespace) -> int:
    """Label what a camera, a played file or a folder that fills gives."""
    if args.videos or args.test_clip is not None:
        raise InputError("--live is given with videos; expected one of the two")
    if args.amp != "off":
        raise InputError("--amp is given with --live, which computes in fp32")
    source = open_source(args.live, args.idle)
    recognizer = StreamingRecognizer(
        args.model, args.checkpoint, device=args.device or "cpu", late=args.limit
    )
    task = args.task or main_task(recognizer.tasks) or recognizer.tasks[0]
    if task not in recognizer.tasks:
        raise InputError(f"--task is {task!r}; expected one of {recognizer.tasks}")
    path = None if args.out is None else args.out / "live.jsonl"
    hands = None if args.hands == "none" else args.hands
    session = LiveSession(recognizer, source, hands=hands, limit=args.limit)
    shown = None
    with LineFile(path) as file, stopped_by_signal(session):
        print(f"live: {args.live}, hands {session.hands}; Ctrl-C ends it", flush=True)
        for answer in session.answers():
            told = session.describe(answer, args.top)
            file.write(told)
            best = told["scores"][task][0]
            if best["class"] != shown:
                shown = best["class"]
                print(
                    f"  {clock(answer.time)}  {best['score']:6.1%}  {shown}"
                    f"  ({1000 * answer.latency:.0f} ms)",
                    flush=True,
                )
        file.write({"summary": session.summary()})
    print("\n".join(session.report()))
    if path is not None:
        print(f"wrote {path}")
    return 0


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    if args.serve:
        serve(inferencer_of(args), args.port)
        return 0
    if args.live is not None:
        return live(args)
    options_of(args)
    sources = sources_of(args)
    infer = inferencer_of(args)
    done, skipped, taken = [], [], set()
    for source, found in zip(sources, label(infer, sources, args), strict=True):
        if isinstance(found, dict):
            skipped.append(found)
            sys.stderr.write(f"skipped {found['video']}: {found['reason']}\n")
            continue
        print(table_of(found, shown_task(found, args.task), args.top))
        done.append(found.to_dict(args.top))
        has_pictures = found.clip is not None and found.clip.has_pictures
        if args.out is not None and not args.no_overlay and has_pictures:
            path = overlay_path(args.out, source, taken)
            write_overlay(path, found, task=args.task, fps=args.fps)
            print(f"  wrote {path}")
    if skipped:
        sys.stderr.write(f"{len(skipped)} of {len(sources)} videos were skipped\n")
    if args.out is not None:
        content = {"model": infer.loaded.path, "predictions": done, "skipped": skipped}
        path = args.out / "predictions.json"
        write_atomic(path, f"{json.dumps(content, indent=1)}\n".encode())
        print(f"wrote {path}")
    if not done:
        raise InputError(f"none of the {len(sources)} videos could be read")
    return 0


if __name__ == "__main__":
    sys.exit(main())
