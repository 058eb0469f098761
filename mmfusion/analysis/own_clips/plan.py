"""Steps of a try on a folder of clips, and a guess of how long each takes."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmfusion.utils.errors import InputError, check_choice

SHORT_SIDE = 160  # pixels of the small copies: models see 112, the page 150
# CPU seconds on a core of 2024; a plan only needs a guess
_HANDS_FRAME, _COPY_FRAME = 0.035, 0.005
_START, _TEST_CLIP = 9.0, 0.05  # of a run: imports and building; of a clip tested
# of a clip trained on once, by streams, for nano
_CLIP = {("video",): 0.02, ("skeleton",): 0.03, ("video", "skeleton"): 0.05}
_ARCH = {"nano": 1.0, "tiny": 4.0, "small": 12.0}
# clips trained on in all; few clips are seen more often
_SEEN, _FEWEST, _MOST = 4000, 15, 100


@dataclass(frozen=True)
class TryOptions:
    """Options of a try.

    Attributes:
        folder: of the clips. out: of everything that is made.
        arch: size of the models. epochs: None chooses them. seeds: runs of each model.
        parts: cut each video into so many clips; None takes videos as they are.
        with_hands: extract hands where there are none. one_hand: clips show one hand;
            it is extracted to a single place, left or right.
        hands: folder of landmarks, named as the videos; None looks beside them.
        models: MediaPipe's wheel or a folder of its models; None fetches them.
        drop_faulty: go on without the clips of faulty files.
        seed: of splits and runs. jobs: processes at a time.
    """

    folder: Path
    out: Path
    arch: str = "nano"
    epochs: int | None = None
    seeds: int = 1
    parts: int | None = None
    with_hands: bool = True
    one_hand: bool = False
    hands: Path | None = None
    models: Path | None = None
    drop_faulty: bool = False
    seed: int = 0
    jobs: int = 2

    def check(self) -> None:
        """Refuse folders that cannot work, before anything is written.

        Raises:
            InputError: names the option.
        """
        check_choice("arch", self.arch, _ARCH)
        if not self.folder.is_dir():
            raise InputError(f"{self.folder} is no folder; expected one of clips")
        inside = os.path.realpath(self.out)
        folder = os.path.realpath(self.folder)
        if inside == folder or inside.startswith(folder + os.sep):
            raise InputError(
                f"--out {self.out} lies in {self.folder}: what is made there would be"
                " taken for clips; name a folder elsewhere"
            )
        unsafe = sorted(set(str(self.out)) & set(" ,[]()'\""))
        if unsafe:
            raise InputError(
                f"--out is {str(self.out)!r}: it cannot have {''.join(unsafe)!r}; name"
                " another, such as work_dirs/mine"
            )
        if self.parts is not None and self.parts < 3:
            raise InputError(
                f"--parts is {self.parts}, expected 3 or more: one to train on, one to"
                " choose the best epoch, one to test"
            )


@dataclass(frozen=True)
class Plan:
    """The steps and their guessed length.

    Attributes:
        models: streams of each model, by config stem.
        epochs: of each. batch_size: of each.
        val_interval: epochs between validations.
        steps: (what, CPU seconds) in order.
        counts: clips by split.
        jobs: processes at a time.
    """

    models: Mapping[str, tuple[str, ...]]
    epochs: int
    batch_size: int
    val_interval: int
    steps: Sequence[tuple[str, float]]
    counts: Mapping[str, int]
    jobs: int

    @property
    def minutes(self) -> float:
        """Guess of the whole, on idle cores."""
        alone = sum(seconds for what, seconds in self.steps[:2])
        shared = [seconds for what, seconds in self.steps[2:]]
        return (alone + max(sum(shared) / self.jobs, max(shared, default=0.0))) / 60


def make_plan(
    records: Sequence[Mapping[str, Any]], options: TryOptions, *, extract: bool
) -> Plan:
    """Models, epochs and guessed seconds for these clips.

    Args:
        records: of the annotation; their videos and skeletons decide the models.
        options: of the command.
        extract: hands are going to be extracted, so that clips will have them.
    """
    counts = Counter(record["split"] for record in records)
    with_video = any(record.get("video") for record in records)
    with_hands = extract or any(record.get("skeleton") for record in records)
    models: dict[str, tuple[str, ...]] = {}
    if with_video:
        models["video_mamba"] = ("video",)
    if with_hands:
        models["skeleton_mamba"] = ("skeleton",)
    if with_video and with_hands:
        models["cls_mix_average"] = ("video", "skeleton")
    train = max(1, counts["train"])
    epochs = options.epochs or min(_MOST, max(_FEWEST, round(_SEEN / train)))
    videos = {r["video"]: r for r in records if r.get("video")}
    frames = sum(
        (record.get("duration_sec") or 0) * (record.get("index_fps") or 30)
        for record in videos.values()
    )
    steps = [
        ("hands", frames * _HANDS_FRAME if extract else 0.0),
        ("small copies of the videos", frames * _COPY_FRAME),
    ]
    scale = _ARCH[options.arch]
    interval = max(1, epochs // 12)
    for seed in range(options.seeds):
        for name, streams in models.items():
            seen = epochs * (train + counts["val"] / interval)
            seconds = _START * 2 + seen * _CLIP[streams] * scale
            seconds += counts["test"] * _TEST_CLIP * scale
            title = f"train {name}" + (f", seed {seed}" if options.seeds > 1 else "")
            steps.append((title, seconds))
    return Plan(
        models=models,
        epochs=epochs,
        batch_size=8 if train < 200 else 16,
        val_interval=interval,
        steps=steps,
        counts=dict(counts),
        jobs=options.jobs,
    )
