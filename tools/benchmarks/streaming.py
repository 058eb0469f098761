"""Check a streaming recogniser over many frames: the same scores, memory, time.

    python tools/benchmarks/streaming.py                       # random weights
    python tools/benchmarks/streaming.py work_dirs/causal_fusion_nano_tinyego
    python tools/benchmarks/streaming.py --check 200 --frames 500   # does it run

First ``--check`` frames of both clocks, a tenth of them lost, come in chunks of random
size, in each of which the streams are out of step. The scores after every chunk are
compared with those of the model given the same frames as one clip, and at ten moments
with those of the clip that ends there. Then ``--frames`` frames: resident memory and
time of a push, tenth by tenth.
Exit codes: 0 done, 1 scores differ by more than 1e-5, 2 wrong command.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import DefaultScope
from rich.console import Console

from mmfusion.apis import LoadedModel, load_model
from mmfusion.apis.stream_frames import FramePipeline
from mmfusion.apis.streaming import StreamingRecognizer
from mmfusion.structures import TokenFeatures
from mmfusion.utils.commands import (
    command_parser,
    errors_in_one_line,
    positive,
    seed,
)
from mmfusion.utils.paths import write_atomic

RATES = {"video": 8.0, "skeleton": 30.0}
TOLERANCE = 1e-5
LOST = 0.1
PREFIXES = 10
POOL = 240  # frames that the long run repeats
SKELETON = dict(layout="openpose21", hands=["left", "right"], unit="m", frame="camera")

Event = tuple[float, str, Any]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("model", nargs="?", help="folder of a run; random weights of nano size if none")
    add("--check", type=positive, default=10_000, help="frames that are compared")
    add("--frames", type=positive, default=100_000, help="frames that are timed")
    add("--size", type=positive, default=128, help="pixels of a frame's side")
    add("--seed", type=seed, default=0)
    add("--out", type=Path, default=Path("work_dirs/benchmarks/streaming.json"))
    return parser.parse_args(argv)


def random_model() -> LoadedModel:
    """The fused causal model of configs/streams, untrained, for two hands."""
    from mmengine.config import Config

    from mmfusion.engine.launch.config_data import build_model
    from mmfusion.engine.runner.card import card_of

    model = dict(
        type="MultiModalRecognizer",
        encoders=dict(
            video=dict(type="CausalVideoMamba", arch="nano", img_size=64),
            skeleton=dict(type="CausalSkeletonMamba", arch="nano"),
        ),
        neck=dict(type="MLPFusion", embed_dims=64, streams=dict(video={}, skeleton={})),
        heads=dict(
            action=dict(
                type="ClassificationHead", num_classes=36, in_dims=64, init_std=1.0
            )
        ),
    )
    pipeline = [
        dict(type="SampleRates", rates=RATES, num_frames=dict(video=1, skeleton=1)),
        dict(type="DecodeVideo"),
        dict(type="LoadSkeleton"),
        dict(type="mmaction.Resize", scale=(64, 64), keep_ratio=False),
        dict(type="NormalizeSkeleton", mode="wrist", scale=10.0),
        dict(type="PackInputs", streams=("video", "skeleton")),
    ]
    whole = Config(
        dict(model=model, test_dataloader=dict(dataset=dict(pipeline=pipeline)))
    )
    built = build_model(model, "random weights").eval()
    names = {"action": [str(index) for index in range(36)]}
    card = card_of(whole, built, dict(classes=names, skeleton=SKELETON))
    streams = tuple(card["streams"])
    return LoadedModel(built, whole, pipeline, names, streams, card, "random weights")


def make_frames(stream: str, count: int, size: int, shape: tuple[int, int]) -> Any:
    """``count`` frames of a stream: noise with a moving square, hands that wander."""
    generator = np.random.default_rng(count)
    if stream == "video":
        video = generator.integers(0, 80, (count, size, size, 3), np.uint8)
        side = size // 4
        for index in range(count):
            left = (2 * index) % (size - side)
            video[index, side : 2 * side, left : left + side] += 150
        return video
    form = generator.normal(0, 0.03, (1, *shape, 3))
    path = generator.normal(0, 0.01, (count, shape[0], 1, 3)).cumsum(0) % 1.0
    joints = form + path + generator.normal(0, 0.001, (count, *shape, 3))
    joints[generator.random((count, *shape)) < 0.05] = math.nan
    return joints.astype(np.float32)


def events_of(streams: Sequence[str], seconds: float) -> list[tuple[float, str, int]]:
    """Time, stream and number of every frame, in order of time."""
    found = [
        (index / RATES[stream], stream, index)
        for stream in streams
        for index in range(int(seconds * RATES[stream]))
    ]
    return sorted(found)


def in_chunks(events: list, generator: np.random.Generator) -> Iterator[list]:
    """Chunks of 1 to 30 events; in each, one stream comes after the other."""
    start = 0
    while start < len(events):
        size = int(generator.integers(1, 31))
        chunk = events[start : start + size]
        yield sorted(chunk, key=lambda event: event[1], reverse=bool(size % 2))
        start += size


def check(loaded: LoadedModel, args: argparse.Namespace) -> dict[str, Any]:
    """Largest difference of the scores, streamed and of the clip."""
    recognizer = StreamingRecognizer(loaded, late=math.inf, hold=math.inf)
    generator = np.random.default_rng(args.seed)
    seconds = args.check / sum(RATES[stream] for stream in recognizer.streams)
    frames = frames_of(recognizer, seconds, args.size)
    events = events_of(recognizer.streams, seconds)
    events = [event for event in events if generator.random() >= LOST]
    given: dict[str, list[int]] = {stream: [] for stream in recognizer.streams}
    readings: list[tuple[dict[str, int], np.ndarray]] = []
    for chunk in in_chunks(events, generator):
        for moment, stream, index in chunk:
            reading = recognizer.push(stream, moment, frames[stream][index])
            given[stream].append(index)
        if reading is None or not all(given.values()):
            continue
        counts = {stream: len(places) for stream, places in given.items()}
        readings.append((counts, _first_task(reading.scores)))
    clip = Clip(loaded, {s: [frames[s][i] for i in given[s]] for s in given})
    worst = max(
        float(abs(scores - clip.scores(counts)).max()) for counts, scores in readings
    )
    step = max(1, len(readings) // PREFIXES)
    at_ends = max(
        float(abs(scores - clip.prefix_scores(counts)).max())
        for counts, scores in readings[::step]
    )
    return {
        "frames": len(events),
        "readings": len(readings),
        "of one clip": worst,
        "of the clips that end there": at_ends,
        "scores vary by": float(np.ptp([s for _, s in readings], axis=0).max()),
    }


def _first_task(scores: dict[str, np.ndarray]) -> np.ndarray:
    """(k,) of the only camera."""
    return next(iter(scores.values()))[0]


def frames_of(
    recognizer: StreamingRecognizer, seconds: float, size: int
) -> dict[str, Any]:
    """All frames of each stream, by the number of the frame."""
    meta = recognizer.loaded.card.get("skeleton") or SKELETON
    shape = (len(meta["hands"]), 21)
    return {
        stream: make_frames(stream, int(seconds * RATES[stream]), size, shape)
        for stream in recognizer.streams
    }


class Clip:
    """All frames that were given, as the tensors of one clip, and the model on them."""

    def __init__(self, loaded: LoadedModel, frames: dict[str, list]) -> None:
        self.model = loaded.model
        pipeline = FramePipeline(loaded.pipeline, loaded.card.get("skeleton"))
        self.inputs: dict[str, tuple[torch.Tensor, torch.Tensor | None]] = {}
        for stream, all_frames in frames.items():
            self.inputs[stream] = self._tensors(pipeline, stream, all_frames)
        with torch.inference_mode():
            self.feats = {name: self._encode(name) for name in frames}

    def _tensors(
        self, pipeline: FramePipeline, stream: str, frames: list
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(1, ..., t, ...) and mask of all frames of a stream."""
        known, parts = np.full(4, np.nan), []
        for frame in frames:
            inputs, known = pipeline(stream, frame, known)
            parts.append(inputs)
        axis = 2 if stream == "video" else 1
        joined = {
            name: torch.cat(
                [part[name] for part in parts], axis if name == stream else 1
            )
            for name in parts[0]
        }
        batch = {name: value.unsqueeze(0) for name, value in joined.items()}
        done = self.model.data_preprocessor({"inputs": batch})["inputs"]
        mask = done.get(f"{stream}_mask")
        return done[stream][:, 0], None if mask is None else mask[:, 0]

    def _encode(self, stream: str, count: int | None = None) -> TokenFeatures:
        x, mask = self.inputs[stream]
        x = x[:, :, :count] if stream == "video" else x[:, :count]
        return self.model.encoders[stream](x, None if mask is None else mask[:, :count])

    def scores(self, counts: dict[str, int]) -> np.ndarray:
        """(k,) after so many frames of each stream, of the encoders' one pass."""
        feats = {}
        for stream, count in counts.items():
            whole = self.feats[stream]
            tokens = whole.tokens[:, count - 1 : count]
            mask = None
            if whole.mask is not None:
                mask = whole.mask[:, :count].any(1, keepdim=True)
            feats[stream] = TokenFeatures(tokens, tokens[:, 0], mask)
        return self._classify(feats)

    def prefix_scores(self, counts: dict[str, int]) -> np.ndarray:
        """(k,) of the clip of the first frames of each stream."""
        with torch.inference_mode():
            return self._classify({s: self._encode(s, n) for s, n in counts.items()})

    def _classify(self, feats: dict[str, TokenFeatures]) -> np.ndarray:
        with torch.inference_mode():
            logits = next(iter(self.model.classify(feats, 1).values()))
        return logits.float().softmax(-1)[0].numpy()


def resident_mib() -> float:
    """Memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def long_run(
    loaded: LoadedModel, args: argparse.Namespace, console: Console
) -> list[dict[str, float]]:
    """Memory and time of a push in each tenth of the frames."""
    recognizer = StreamingRecognizer(loaded)
    pool = frames_of(recognizer, POOL / min(RATES.values()), args.size)
    total = sum(RATES[stream] for stream in recognizer.streams)
    events = iter(events_of(recognizer.streams, args.frames / total + 1))
    rows = []
    for part in range(10):
        used, took = time.process_time(), []
        count = args.frames * (part + 1) // 10 - args.frames * part // 10
        for _ in range(count):
            moment, stream, index = next(events)
            frame = pool[stream][index % len(pool[stream])]
            start = time.perf_counter()
            recognizer.push(stream, moment, frame)
            took.append(time.perf_counter() - start)
        row = {
            "frames": args.frames * (part + 1) // 10,
            "resident MiB": resident_mib(),
            "CPU ms a frame": 1e3 * (time.process_time() - used) / count,
            "median ms": 1e3 * float(np.median(took)),
            "p99 ms": 1e3 * float(np.quantile(took, 0.99)),
        }
        rows.append(row)
        console.print("  ".join(f"{key} {value:.2f}" for key, value in row.items()))
    return rows


@errors_in_one_line
def main() -> int:
    args = parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    console = Console(soft_wrap=True)
    with DefaultScope.overwrite_default_scope("mmfusion"):
        loaded = load_model(args.model) if args.model else random_model()
        found: dict[str, Any] = {"model": loaded.path, "check": check(loaded, args)}
        console.print(found["check"])
        found["long"] = long_run(loaded, args, console)
    write_atomic(args.out, json.dumps(found, indent=1).encode())
    worst = max(
        found["check"]["of one clip"], found["check"]["of the clips that end there"]
    )
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    raise SystemExit(main())
