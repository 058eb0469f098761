"""Study as a whole: encoders, features, the grid, the report; each made once."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save

from mmfusion.tinyego import REGIMES, WorldConfig
from mmfusion.tinyego.plan import SPLITS
from mmfusion.utils.errors import InputError, check_choice
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.text_files import read_json
from mmfusion.weights.files import load_checked

from . import pictures
from .clips import Studio, StudyClip, clips_of
from .encoders import HandsStream, VideoStream, jittered, shifted, train_stream
from .features import WRONG, ClipFeatures, joined, make_features, read_clips
from .fusion import DIRECT, MIXES, ROWS, Cell, run_cell
from .results import (
    TASKS,
    Results,
    accuracy_table,
    alpha_table,
    cell_file,
    difference_table,
    write_cell,
)
from .signs import signs

SETTINGS = "settings.json"
_PART = 1200  # clips of one file of features
_WEIGHING = ("weighted", "context", "gated")  # and their direct forms
_PAIRS = (
    ("naive", "average"),
    ("weighted", "average"),
    ("context", "average"),
    ("context", "weighted"),
    ("gated", "average"),
    ("gated", "context"),
    ("oracle", "average"),
    ("average", "late"),
    ("context_direct", "average_direct"),
    ("gated_direct", "context_direct"),
)
_STREAMS: dict[str, type[VideoStream] | type[HandsStream]] = {
    "hands": HandsStream,
    "video": VideoStream,
}
Say = Callable[[str], None]


@dataclass(frozen=True)
class StudyConfig:
    """Everything that decides the study's figures.

    Args:
        regimes: names in :data:`mmfusion.tinyego.REGIMES`.
        rows: mixes, and linear models of the streams.
        sizes: clips in training. seeds: of order, start, and the choice of clips.
        num_val, num_test: clips, multiples of 12.
        steps: of each fusion's training, 64 clips each.
        encoder_clips, encoder_epochs: of stage 1.
        world_seed: of the fusions' world; the encoders' is another one.
    """

    regimes: tuple[str, ...] = (
        *("clean", "hands_worse", "either_lost"),
        *("either_marked", "either_told", "either_hidden"),
    )
    rows: tuple[str, ...] = ROWS
    sizes: tuple[int, ...] = (150, 300, 600, 1200, 2400, 4800)
    seeds: tuple[int, ...] = (0, 1, 2)
    num_val: int = 360
    num_test: int = 1200
    steps: int = 100
    encoder_clips: int = 2000
    encoder_epochs: int = 10
    world_seed: int = 11

    def __post_init__(self) -> None:
        for regime in self.regimes:
            check_choice("regimes", regime, tuple(REGIMES))
        for row in self.rows:
            check_choice("rows", row, ROWS)

    @property
    def world(self) -> WorldConfig:
        """World of the fusions' clips."""
        return WorldConfig(
            seed=self.world_seed,
            num_train=max(self.sizes),
            num_val=self.num_val,
            num_test=self.num_test,
        )

    @property
    def encoder_world(self) -> WorldConfig:
        """World of the encoders' clips, of which no other part is used."""
        count = self.encoder_clips
        return WorldConfig(
            seed=self.world_seed + 1000, num_train=count, num_val=0, num_test=0
        )

    def cells(self) -> list[Cell]:
        """The grid; what needs the fewest parts of the features comes first."""
        order = product(self.seeds, self.sizes, self.regimes, self.rows)
        cells = [Cell(r, mix, size, seed) for seed, size, r, mix in order]
        return sorted(cells, key=lambda cell: -(-cell.size // _PART))


QUICK = StudyConfig(
    regimes=("clean", "either_told"),
    rows=("late", "average", "context"),
    sizes=(48,),
    seeds=(0, 1),
    num_val=12,
    num_test=24,
    steps=4,
    encoder_clips=24,
    encoder_epochs=1,
)


class Study:
    """One study in one folder; what is there already is not made again.

    Args:
        out: its folder.
        config: its settings; a folder of others is refused.
        say: told what is being done, a line each time.

    Raises:
        ValueError: the folder holds a study of other settings.
    """

    def __init__(self, out: Path, config: StudyConfig, say: Say) -> None:
        self.out, self.config, self.say = out, config, say
        values = json.loads(json.dumps(asdict(config)))
        file = out / SETTINGS
        if file.is_file():
            found = read_json(file)
            known = found if isinstance(found, dict) else {}
            differs = [key for key in values if known.get(key) != values[key]]
            if differs:
                raise InputError(
                    f"{file} has other settings ({', '.join(differs)}); choose another"
                    " --out, or remove that folder"
                )
        else:
            write_atomic(file, (json.dumps(values, indent=1) + "\n").encode())
        self._read: dict[tuple[str, int], dict[str, ClipFeatures]] = {}
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)

    def run(self, minutes: float | None = None) -> int:
        """Make what is not there: encoders, features, cells; the number left.

        Args:
            minutes: start nothing further after so many.
        """
        until = time.monotonic() + 60 * (minutes or 1e9)
        todo = [c for c in self.config.cells() if not cell_file(self.out, c).is_file()]
        for name in _STREAMS if todo else ():
            if time.monotonic() > until:
                return len(todo)
            self._encoder(name)
        for place, cell in enumerate(todo):
            parts = []
            for split in SPLITS:
                for start in self._parts(cell, split):
                    if time.monotonic() > until:
                        return len(todo) - place
                    self._features(split, start)
                parts.append(self._clips(cell, split))
            write_cell(self.out, cell, run_cell(cell, *parts, steps=self.config.steps))
            if (place + 1) % 20 == 0:
                self.say(f"{place + 1} of {len(todo)} trainings")
        return 0

    def report(self) -> list[Path]:
        """Write results.csv, tables.md and the pictures from what is done."""
        results = self.results()
        files = {
            "results.csv": results.csv().encode(),
            "tables.md": "\n".join(self._tables(results)).encode(),
            **self._pictures(results),
        }
        for name, content in files.items():
            write_atomic(self.out / name, content)
        return [self.out / name for name in files]

    def _pictures(self, results: Results) -> dict[str, bytes]:
        config = self.config
        regimes, sizes = config.regimes, config.sizes
        fusions = [r for r in config.rows if r in MIXES or r == "late"]
        direct = [r for r in config.rows if r in DIRECT]
        gating = [r for r in fusions if r not in ("average", "late")]
        varying = [r for r in self._weighing() if not r.startswith("weighted")]
        weighed = results.sizes_with_alpha() or [sizes[-1]]
        return {
            "signs.jpg": signs(config.world),
            "curves_action.png": pictures.curves(
                results, regimes, fusions, sizes, "action"
            ),
            "curves_verb.png": pictures.curves(
                results, regimes, fusions, sizes, "verb"
            ),
            "gains_verb.png": pictures.gains(results, regimes, gating, sizes, "verb"),
            "direct_verb.png": pictures.curves(
                results, regimes, ["average", *direct], sizes, "verb"
            ),
            "alphas.png": pictures.alphas(results, regimes, varying, weighed[-1]),
        }

    def results(self) -> Results:
        """All cells that are done."""
        tests = {r: clips_of(self.config.world, r, "test") for r in self.config.regimes}
        return Results(
            self.out,
            self.config.cells(),
            {r: np.array([c.block for c in own]) for r, own in tests.items()},
            {
                r: np.array([WRONG.index(c.wrong) for c in own])
                for r, own in tests.items()
            },
        )

    def _tables(self, results: Results) -> Iterator[str]:
        config = self.config
        for task in TASKS:
            for regime in config.regimes:
                table = accuracy_table(results, regime, config.rows, config.sizes, task)
                yield table.markdown()
            for mixes in _PAIRS:
                if set(mixes) <= set(config.rows):
                    table = difference_table(
                        results, config.regimes, mixes, config.sizes, task
                    )
                    yield table.markdown()

        for size in config.sizes:
            yield alpha_table(
                results, config.regimes, self._weighing(), size
            ).markdown()

    def _weighing(self) -> list[str]:
        return [r for r in self.config.rows if r.split("_")[0] in _WEIGHING]

    def _parts(self, cell: Cell, split: str) -> list[int]:
        """First clips of the parts that a cell reads.

        For training as few as its size needs, others by seed, so that seeds share no
        clip as long as there are enough.
        """
        parts = [*range(0, getattr(self.config.world, f"num_{split}"), _PART)]
        if split != "train":
            return parts
        needed = -(-cell.size // _PART)
        return [parts[(cell.seed + k) % len(parts)] for k in range(needed)]

    def _clips(self, cell: Cell, split: str) -> ClipFeatures:
        """Clips of all parts that a cell reads, each read from its file once."""
        for start in self._parts(cell, split):
            if (split, start) not in self._read:
                path, regimes = self._file(split, start), self.config.regimes
                self._read[split, start] = read_clips(path, regimes)
        own = [self._read[split, start] for start in self._parts(cell, split)]
        return joined([part[cell.regime] for part in own])

    def _file(self, split: str, start: int) -> Path:
        return self.out / f"features_{split}_{start}.npz"

    def _features(self, split: str, start: int) -> None:
        """Make one part's features, where they are not there."""
        if self._file(split, start).is_file():
            return
        video, hands = self._encoder("video"), self._encoder("hands")
        assert isinstance(video, VideoStream) and isinstance(hands, HandsStream)
        rows = slice(start, start + _PART)
        self.say(f"features, {split}, clips from {start}")
        world, regimes = self.config.world, self.config.regimes
        path = self._file(split, start)
        make_features(path, world, split, regimes, video, hands, rows)

    def _encoder(self, name: str) -> VideoStream | HandsStream:
        """A stream's encoder, trained where its file is not there."""
        torch.manual_seed(self.config.world_seed)
        stream: VideoStream | HandsStream = _STREAMS[name]()
        file = self.out / f"encoder_{name}.safetensors"
        if not file.is_file():
            self.say(f"encoder of the {name}")
            self._train(stream)
            write_atomic(file, save(stream.state_dict()))
        stream.load_state_dict(load_checked(file))
        stream.eval()
        return stream

    def _train(self, stream: VideoStream | HandsStream) -> None:
        config = self.config
        clips = mixed_clips(config.encoder_world, config.regimes)
        studio = Studio(config.encoder_world, config.regimes)
        labels = torch.tensor([clip.action for clip in clips])
        epochs = config.encoder_epochs
        if isinstance(stream, HandsStream):
            made = studio.motions([clip.hands for clip in clips])
            joints, mask = map(torch.from_numpy, made)
            train_stream(
                stream,
                lambda rows, own: (jittered(joints[rows], mask[rows], own), mask[rows]),
                labels,
                epochs=epochs,
                seed=0,
            )
            return
        films = np.stack([*studio.films([clip.video for clip in clips])])
        frames = torch.from_numpy(films)
        train_stream(
            stream,
            lambda rows, own: (shifted(frames[rows], own),),
            labels,
            epochs=epochs,
            seed=0,
        )


def mixed_clips(config: WorldConfig, regimes: Sequence[str]) -> list[StudyClip]:
    """Training clips of a world, each as the next regime in turn shows it."""
    each = [clips_of(config, regime, "train") for regime in regimes]
    return [each[place % len(each)][place] for place in range(len(each[0]))]
