"""Stages of loading a clip, timed."""

import contextlib
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

from loading_films import Film
from loading_roads import Plan, Road, start_of

from mmfusion.datasets.media import video_index, video_io

OPEN, COLOUR = "open", "colour"


def stages_of(
    road: Road, film: Film, clips: Sequence[tuple[int, int]], plan: Plan
) -> dict[str, float]:
    """Median CPU seconds of each stage of a clip; our decoding is told in parts."""
    transforms = road.transforms(plan)
    totals: dict[str, list[float]] = defaultdict(list)
    for clip in clips:
        results: Any = start_of(film, clip)
        inside: dict[str, float] = defaultdict(float)
        with _watched(inside):
            for transform in transforms:
                begin = time.process_time()
                before = sum(inside.values())
                results = transform(results)
                took = time.process_time() - begin
                took -= sum(inside.values()) - before
                inside_name = _stage(transform)
                totals[inside_name].append(took)
        for name, seconds in inside.items():
            totals[name].append(seconds)
    return {name: statistics.median(values) for name, values in totals.items()}


def _stage(transform: Callable) -> str:
    name = getattr(transform, "__name__", type(transform).__name__)
    return STAGES.get(name, name.strip("_"))


STAGES = {
    "SampleSegments": "sample",
    "SampleFrames": "sample",
    "_narrow": "sample",
    "DecordInit": OPEN,
    "DecodeVideo": "seek, decode",
    "DecordDecode": "seek, decode",
    "_decode_by_torchcodec": "seek, decode",
    "_forget_videos": "sample",
    "RandomResizedCrop": "crop",
    "Resize": "resize",
    "Flip": "flip",
    "_as_one_clip": "pack",
    "FormatShape": "pack",
    "PackInputs": "pack",
}


@contextlib.contextmanager
def _watched(seconds: dict[str, float]) -> Iterator[None]:
    """Add up what our reader takes to open files and to convert colours."""

    def timed(name: str, function: Callable) -> Callable:
        def call(*args: Any, **options: Any) -> Any:
            begin = time.process_time()
            try:
                return function(*args, **options)
            finally:
                seconds[name] += time.process_time() - begin

        return call

    to_rgb = video_index.ToRGB
    with (
        mock.patch.object(to_rgb, "__call__", timed(COLOUR, to_rgb.__call__)),
        mock.patch.object(
            video_io, "open_container", timed(OPEN, video_io.open_container)
        ),
        mock.patch.object(
            video_index, "open_container", timed(OPEN, video_index.open_container)
        ),
    ):
        yield
