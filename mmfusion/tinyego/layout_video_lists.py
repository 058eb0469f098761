"""TinyEgo as lists of short videos: Something-Something V2's and Kinetics-400's.

Each clip is a file of its own. Something-Something's classes are what is done to
something (4 here), Kinetics' are whole actions (12). There are no hands in either, so
the stream ``skeleton`` has the ceilings of a guess.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmfusion.utils.errors import InputError
from mmfusion.utils.paths import write_atomic

from .actions import ACTIONS, VERBS, Action
from .ceilings import ClipContent, ceilings, designed_ceilings
from .digest import digest
from .encode import write_video
from .plan import SPLITS, SequencePlan, WorldConfig
from .recording import ActedClip, Recording, record
from .world import TwinWorld

FPS = 30
SECONDS = 10  # Kinetics' names say which ten seconds of a longer video these are
_GERUNDS = {
    "grab": "Grabbing",
    "place": "Placing",
    "open": "Opening",
    "close": "Closing",
}
TEMPLATES = tuple(f"{_GERUNDS[verb.name]} [something]" for verb in VERBS)


class VideoOnlyWorld:
    """TinyEgo's twins without their hands: bounds are checked for the video."""

    default = WorldConfig(num_train=240, num_val=48, num_test=0)
    actions: Sequence[Action] = ACTIONS

    def plan(self, config: WorldConfig) -> list[SequencePlan]:
        if not config.is_reliable:
            raise InputError(
                "lists of videos have no unreliable streams; leave out the regime, or"
                " choose layout h2o or oakink2"
            )
        if config.width % 4 or config.height % 4:
            raise InputError(
                f"height is {config.height}, which makes images of {config.width} x"
                f" {config.height}; expected multiples of 4, as with 72 or 108: equal"
                " clips must be equal files"
            )
        return TwinWorld().plan(config)

    def film(self, config: WorldConfig, plan: SequencePlan) -> Recording:
        return record(config, plan)

    def bounds(
        self, config: WorldConfig, contents: Sequence[ClipContent], where: str
    ) -> dict[str, Any]:
        """Ceilings measured from the files; the video's must be those of the design."""
        measured = ceilings(contents)
        for task, streams in designed_ceilings().items():
            if abs(measured[task]["video"] - streams["video"]) > 1e-9:
                raise RuntimeError(
                    f"{where}: the files give video a ceiling of"
                    f" {measured[task]['video']:.2f} % for the {task}, the design"
                    f" {streams['video']:.2f} %: the files were changed"
                )
        return measured


class VideoListLayout:
    """Writes each clip's file, and reads the files back.

    Args:
        name: of the layout.
        container: of the files, which is how their names end.
        file_of: the path under the root of a sequence's clip by its place in it.
        write_lists: called with the root and, by split, (plan, place, action) of every
            clip.
    """

    world = VideoOnlyWorld()

    def __init__(
        self,
        name: str,
        container: str,
        file_of: Callable[[SequencePlan, int, Action], str],
        write_lists: Callable[[Path, dict[str, list[Clip]]], None],
    ) -> None:
        self.name, self.container = name, container
        self._file_of, self._write_lists = file_of, write_lists

    def sequence_path(self, config: WorldConfig, plan: SequencePlan) -> Path:
        """A file that is there when all clips of a sequence are."""
        return Path(".tinyego", "clips", f"{plan.split}_{plan.index:05d}.json")

    def write_sequence(
        self, root: Path, path: Path, config: WorldConfig, recording: Recording
    ) -> None:
        """Write the clips to their places, and then to ``path`` which they are."""
        written = []
        for place, segment in enumerate(recording.segments):
            name = self._file_of(recording.plan, place, segment.action)
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            images = recording.images[segment.start : segment.end + 1]
            frames = [_decode(image) for image in images]
            write_video(root / name, frames, FPS, self.container)
            written.append([name, segment.action.index])
        path.write_text(json.dumps(written))

    def write_index(
        self,
        root: Path,
        config: WorldConfig,
        sequences: Sequence[tuple[SequencePlan, Sequence[ActedClip]]],
    ) -> None:
        """Write the lists of every split."""
        clips: dict[str, list[Clip]] = {split: [] for split in SPLITS}
        for plan, segments in sequences:
            for place, segment in enumerate(segments):
                clips[plan.split].append((plan, place, segment.action))
        self._write_lists(root, clips)

    def read_contents(self, root: Path, split: str) -> list[ClipContent]:
        """Digests of every clip of a split, from the files alone."""
        return [
            ClipContent(action, digest([(root / name).read_bytes()]), "")
            for file in sorted((root / ".tinyego/clips").glob(f"{split}_*.json"))
            for name, action in json.loads(file.read_text())
        ]


def _decode(image: bytes) -> np.ndarray:
    decoded = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None, "OpenCV decodes the jpeg that it encoded"
    return decoded


Clip = tuple[SequencePlan, int, Action]


def _number(plan: SequencePlan, place: int) -> int:
    """A number that no other clip has."""
    return 100_000 * (1 + SPLITS.index(plan.split)) + 100 * plan.index + place


def _ssv2_file(plan: SequencePlan, place: int, action: Action) -> str:
    return f"20bn-something-something-v2/{_number(plan, place)}.webm"


def _ssv2_lists(root: Path, clips: dict[str, list[Clip]]) -> None:
    """The official JSON files, and VideoMamba's csv of the same clips."""
    labels = {
        template.replace("[something]", "something"): str(number)
        for number, template in enumerate(TEMPLATES)
    }
    _write_json(root / "labels/labels.json", labels)
    for split, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        entries, lines = [], []
        for plan, place, action in clips[split]:
            entry: dict[str, Any] = {"id": str(_number(plan, place))}
            verb = VERBS.index(action.verb)
            if split != "test":
                gerund = _GERUNDS[action.verb.name].lower()
                entry["label"] = f"{gerund} {action.noun}"
                entry["template"] = TEMPLATES[verb]
                entry["placeholders"] = [action.noun]
            entries.append(entry)
            lines.append(f"{entry['id']}.webm {verb}\n")
        _write_json(root / f"labels/{name}.json", entries)
        write_atomic(str(root / f"{split}.csv"), "".join(lines).encode())


def _youtube_id(plan: SequencePlan, place: int) -> str:
    return f"tiny_{_number(plan, place):06d}"  # eleven letters, as there


def _kinetics_file(plan: SequencePlan, place: int, action: Action) -> str:
    times = f"{0:06d}_{SECONDS:06d}"
    return f"{plan.split}/{_youtube_id(plan, place)}_{times}.mp4"


def _kinetics_lists(root: Path, clips: dict[str, list[Clip]]) -> None:
    """The official csv files, and VideoMamba's of the same clips."""
    classes = sorted(action.name for action in ACTIONS)
    text = "".join(f"{name}\n" for name in classes)
    write_atomic(str(root / "annotations/classes.txt"), text.encode())
    for split in SPLITS:
        table, lines = io.StringIO(), []
        writer = csv.writer(table, lineterminator="\n")
        head = ("label", "youtube_id", "time_start", "time_end", "split")
        hidden = 1 if split == "test" else 0  # as there, without labels
        writer.writerow(head[hidden:])
        for plan, place, action in clips[split]:
            row = (action.name, _youtube_id(plan, place), 0, SECONDS, split)
            writer.writerow(row[hidden:])
            number = classes.index(action.name)
            lines.append(f"{_kinetics_file(plan, place, action)},{number}\n")
        write_atomic(str(root / f"annotations/{split}.csv"), table.getvalue().encode())
        write_atomic(str(root / f"{split}.csv"), "".join(lines).encode())


def _write_json(path: Path, content: Any) -> None:
    write_atomic(str(path), (json.dumps(content, indent=1) + "\n").encode())


SSV2_LAYOUT = VideoListLayout("ssv2", "webm", _ssv2_file, _ssv2_lists)
KINETICS_LAYOUT = VideoListLayout("kinetics", "mp4", _kinetics_file, _kinetics_lists)
