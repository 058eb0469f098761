"""Make a TinyEgo folder: in parallel, resumable, and the same bytes every time.

A sequence is written beside its place and renamed into it: one that is there is whole.
The manifest comes last: a folder that has it is finished.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import cv2

from mmfusion.utils.errors import InputError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.text_files import read_json

from .actions import Action
from .layout_ek100 import EK100Layout
from .layout_h2o import H2OLayout
from .layout_oakink2 import OakInk2Layout
from .layout_video_lists import KINETICS_LAYOUT, SSV2_LAYOUT
from .plan import SPLITS, SequencePlan, WorldConfig
from .recording import ActedClip
from .reliability import Reliability
from .world import World

# the bytes of a world depend on this too: raise it when they change
GENERATOR_VERSION = 1
MANIFEST, CEILINGS = "manifest.json", "ceilings.json"
UNFINISHED = ".tinyego/unfinished.json"


class Layout(Protocol):
    """Functions of one published layout; another one is a file and a line here."""

    name: str

    @property
    def world(self) -> World:
        """World whose actions are written down."""

    def sequence_path(self, config: WorldConfig, plan: SequencePlan) -> Path:
        """File or folder, under the root, that says by being there: it is whole."""

    def write_sequence(
        self, root: Path, path: Path, config: WorldConfig, recording: Any
    ) -> None:
        """Write a sequence: most of it to a new path that is renamed later."""

    def write_index(
        self,
        root: Path,
        config: WorldConfig,
        sequences: Sequence[tuple[SequencePlan, Sequence[ActedClip]]],
    ) -> None:
        """Write what is written once: split files and the like."""

    def read_contents(self, root: Path, split: str) -> Sequence[Any]:
        """Content of every clip for the world's ceilings, from the files alone."""


_LAYOUTS: tuple[Layout, ...] = (
    H2OLayout(),
    OakInk2Layout(),
    EK100Layout(),
    SSV2_LAYOUT,
    KINETICS_LAYOUT,
)
LAYOUTS = {layout.name: layout for layout in _LAYOUTS}


def generate(
    out: Path,
    layout: str,
    config: WorldConfig,
    *,
    workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Make the folder, or finish it, or find it finished.

    Args:
        out: the data root; new, empty, or an earlier (perhaps interrupted) result.
        layout: a key of LAYOUTS.
        config: the world.
        workers: processes; the bytes do not depend on it.
        on_progress: called with sequences done and sequences in all.

    Returns:
        The manifest: parameters, counts and ceilings.

    Raises:
        ValueError: the folder holds something else, or a world of other parameters.
    """
    if layout not in LAYOUTS:
        raise InputError(f"layout is {layout!r}; expected one of {sorted(LAYOUTS)}")
    if workers < 1:
        raise InputError(f"workers is {workers}; expected 1 or more")
    parameters = {
        "generator": "tinyego",
        "version": GENERATOR_VERSION,
        "layout": layout,
        **_values(config),
    }
    writer = LAYOUTS[layout]
    plans = writer.world.plan(config)
    finished = _claim(out, parameters)
    paths = [out / writer.sequence_path(config, plan) for plan in plans]
    if finished is not None and all(path.exists() for path in paths):
        return finished
    for done, _ in enumerate(_make_sequences(out, layout, config, plans, workers), 1):
        if on_progress is not None:
            on_progress(done, len(plans))
    return _finish(out, layout, config, plans, parameters)


def _values(config: WorldConfig) -> dict[str, Any]:
    """Plain values of a world, without those that no world had at first."""
    values = asdict(config)
    for stream in ("video", "hands"):
        if getattr(config, stream) == Reliability():
            del values[stream]
    return values


def _claim(out: Path, parameters: dict[str, Any]) -> dict[str, Any] | None:
    """Make the folder ours; return its manifest when it was finished before."""
    out.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST, UNFINISHED):
        if not (out / name).is_file():
            continue
        found = read_json(out / name)
        before = found.get("parameters") if isinstance(found, dict) else None
        if not isinstance(before, dict):
            raise InputError(
                f"{out / name} is no manifest of TinyEgo; remove that folder"
            )
        differs = [
            f"{key} {before.get(key)} (wanted {value})"
            for key in dict.fromkeys((*parameters, *before))
            if before.get(key) != (value := parameters.get(key))
        ]
        if differs:
            raise InputError(
                f"{out} already holds a TinyEgo with other parameters: "
                f"{', '.join(differs)}; choose another folder or remove this one"
            )
        return found if name == MANIFEST else None
    if any(out.iterdir()):
        raise InputError(
            f"{out} is not empty and holds no TinyEgo ({MANIFEST} or {UNFINISHED}); "
            "choose a new or empty folder"
        )
    _write_json(out / UNFINISHED, {"parameters": parameters})
    return None


def _make_sequences(
    out: Path,
    layout: str,
    config: WorldConfig,
    plans: list[SequencePlan],
    workers: int,
) -> Iterator[None]:
    jobs: Iterable = [(out, layout, config, plan) for plan in plans]
    if workers == 1:
        yield from map(_make_sequence, jobs)
        return
    # fork would copy a parent that may run threads (torch, a progress bar)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(_make_sequence, jobs, chunksize=2)


def _make_sequence(job: tuple[Path, str, WorldConfig, SequencePlan]) -> None:
    out, layout, config, plan = job
    writer = LAYOUTS[layout]
    final = out / writer.sequence_path(config, plan)
    if final.exists():
        return
    partial = final.with_name(f".{final.name}.partial")
    if partial.is_dir():
        shutil.rmtree(partial)
    partial.unlink(missing_ok=True)
    partial.parent.mkdir(parents=True, exist_ok=True)
    with _one_thread():
        recording = writer.world.film(config, plan)
    writer.write_sequence(out, partial, config, recording)
    _write_json(out / _segments_file(plan), _describe(recording))
    os.replace(partial, final)


@contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV's own threads only slow down images this small."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _finish(
    out: Path,
    layout: str,
    config: WorldConfig,
    plans: list[SequencePlan],
    parameters: dict[str, Any],
) -> dict[str, Any]:
    writer = LAYOUTS[layout]
    actions = writer.world.actions
    described = [_read_segments(out, plan, actions) for plan in plans]
    segments = [segments for _, segments in described]
    writer.write_index(out, config, list(zip(plans, segments, strict=True)))
    counts = {split: {"sequences": 0, "clips": 0, "frames": 0} for split in SPLITS}
    for plan, (num_frames, found) in zip(plans, described, strict=True):
        counts[plan.split]["sequences"] += 1
        counts[plan.split]["clips"] += len(found)
        counts[plan.split]["frames"] += num_frames
    bounds = {
        split: {
            "num_clips": counts[split]["clips"],
            **writer.world.bounds(
                config, writer.read_contents(out, split), f"{out}, {split}"
            ),
        }
        for split in ("val", "test")
        if counts[split]["clips"]
    }
    _write_json(out / CEILINGS, {"unit": "percent, top-1", "splits": bounds})
    manifest = {"parameters": parameters, "counts": counts, "ceilings": bounds}
    _write_json(out / MANIFEST, manifest)
    (out / UNFINISHED).unlink(missing_ok=True)
    return manifest


def _segments_file(plan: SequencePlan) -> Path:
    return Path(".tinyego", "segments", f"{plan.split}_{plan.index:05d}.json")


def _describe(recording: Any) -> dict[str, Any]:
    segments = [[s.action.index, s.start, s.end] for s in recording.segments]
    return {"num_frames": len(recording.images), "segments": segments}


def _read_segments(
    out: Path, plan: SequencePlan, actions: Sequence[Action]
) -> tuple[int, list[ActedClip]]:
    content = read_json(out / _segments_file(plan))
    segments = [ActedClip(actions[a], s, e) for a, s, e in content["segments"]]
    return content["num_frames"], segments


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_atomic(path, (json.dumps(content, indent=1) + "\n").encode(), sweep=False)
