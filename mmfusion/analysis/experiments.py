"""Configs of a table in the order of their dependencies, and their runs.

A run is one config with one seed; its folder is ``<work root>/<config>/seed<S>``, and
of a cross-validation ``<work root>/<config>/fold<K>/seed<S>``. What is complete is not
done again, what was cut off continues.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Protocol

from mmengine.config import Config

from mmfusion.datasets.folds import FOLD_FILE
from mmfusion.engine.launch.argument_check import class_name
from mmfusion.engine.launch.config_compare import comparable_config, config_difference
from mmfusion.engine.launch.config_streams import teachers_of
from mmfusion.engine.launch.start import prepare_config
from mmfusion.engine.runner.work_dir import read_finished
from mmfusion.utils.errors import InputError, WorkDirError
from mmfusion.weights.files import peek_meta

DATALOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
PREDICTIONS = "predictions.json"
# where a config looks for the encoders, or the teacher, that another config trains
_STAGE1 = re.compile(r"(?:.*/)?work_dirs/(?P<stem>[^/]+)/best\.pth")


@dataclass(frozen=True)
class Experiment:
    """A config, read once.

    Attributes:
        path: of the config.
        options: of the command line, dotted keys.
        stage1: option key that holds a checkpoint -> name of the experiment that it
            comes from.
        streams: of its encoders.
        encoders: by stream, the class of its encoder.
        max_epochs: at most so many.
        test_set: the config's test dataset, plain values.
        variant: end of its name, of the values that a sweep gives it; '' without.
    """

    path: Path
    options: Mapping[str, Any]
    stage1: Mapping[str, str]
    streams: tuple[str, ...]
    encoders: Mapping[str, str]
    max_epochs: int
    test_set: Mapping[str, Any]
    variant: str = ""

    @property
    def name(self) -> str:
        """The config's stem, and its variant."""
        return self.path.stem + self.variant


class TestedRun(Protocol):
    """Predictions of one seed and fold of a row of a table.

    Attributes:
        name: of the row. streams: that it sees.
        seed: of every random draw. fold: of a cross-validation; None without one.
        predictions: file of the scores.
    """

    @property
    def name(self) -> str: ...
    @property
    def streams(self) -> tuple[str, ...]: ...
    @property
    def seed(self) -> int: ...
    @property
    def fold(self) -> int | None: ...
    @property
    def predictions(self) -> Path: ...


@dataclass(frozen=True)
class Run:
    """One experiment with one seed.

    Attributes:
        experiment: the config.
        seed: of every random draw.
        work_root: folder of all runs.
        tools: folder of ``train.py`` and ``test.py``.
        fold: number of a cross-validation's fold; None without one.
    """

    experiment: Experiment
    seed: int
    work_root: Path
    tools: Path
    fold: int | None = None

    @property
    def key(self) -> tuple[str, int, int | None]:
        """Name of the experiment, seed and fold: what tells it from other runs."""
        return self.experiment.name, self.seed, self.fold

    @property
    def name(self) -> str:
        """Name of the row that it is of."""
        return self.experiment.name

    @property
    def streams(self) -> tuple[str, ...]:
        """Streams that the model sees."""
        return self.experiment.streams

    @property
    def folder(self) -> Path:
        """Folder of this run alone."""
        return self._folder_of(self.experiment.name)

    def _folder_of(self, name: str) -> Path:
        fold = "" if self.fold is None else f"fold{self.fold}"
        return self.work_root / name / fold / f"seed{self.seed}"

    @property
    def best(self) -> Path:
        """The checkpoint that is tested."""
        return self.folder / "best.pth"

    @property
    def predictions(self) -> Path:
        """File that the test writes."""
        return self.folder / PREDICTIONS

    @property
    def options(self) -> dict[str, Any]:
        """Options of the command line, the fold, this run's stage-1 checkpoints."""
        stage1 = {
            key: str(self._folder_of(stem) / "best.pth")
            for key, stem in self.experiment.stage1.items()
        }
        fold = {} if self.fold is None else fold_options(self.fold)
        seed = {"randomness.seed": self.seed}
        return {**self.experiment.options, **fold, **seed, **stage1}

    def needs(self) -> set[tuple[str, int, int | None]]:
        """Keys of the runs of stage 1."""
        return {
            (stem, self.seed, self.fold) for stem in self.experiment.stage1.values()
        }

    def is_trained(self) -> bool:
        """True if the folder has this run, complete; another one is an error."""
        if read_finished(self.folder) is None or not self.best.is_file():
            return False
        meta = peek_meta(self.best)
        if meta is None or "settings" not in meta:
            raise WorkDirError(
                f"{self.best} was not written by a run of this version; give another"
                " --work-root, or delete that folder"
            )
        old = json.loads(meta["settings"])
        difference = config_difference(old, comparable_config(self.config))
        if difference:
            raise WorkDirError(
                f"{self.folder} has a complete run of another config:\n{difference}\n"
                "Give another --work-root, or delete that folder."
            )
        return True

    @property
    def config(self) -> Config:
        """The config as the run reads it."""
        return read_config(self.experiment.path, self.options, self.folder)

    def commands(self) -> Iterator[list[str]]:
        """Commands still to be done: training, then testing."""
        config, options = str(self.experiment.path), _as_arguments(self.options)
        common = ["--work-dir", str(self.folder), "--cfg-options", *options]
        if not self.is_trained():
            self.predictions.unlink(missing_ok=True)
            yield [sys.executable, str(self.tools / "train.py"), config, *common]
        if not self.predictions.is_file():
            test = [sys.executable, str(self.tools / "test.py"), config, str(self.best)]
            yield [*test, "--dump", str(self.predictions), *common]


def read_config(
    path: Path, options: Mapping[str, Any] | None = None, work_dir: Path | None = None
) -> Config:
    """The config as ``tools/train.py`` reads it."""
    return prepare_config(
        argparse.Namespace(
            config=str(path),
            cfg_options=dict(options or {}),
            work_dir=None if work_dir is None else str(work_dir),
            launcher="none",
            local_rank=0,
        )
    )


def fold_options(fold: int) -> dict[str, Any]:
    """Options that put the annotation of a fold into every dataloader."""
    return {f"{key}.dataset.ann_file": FOLD_FILE.format(fold) for key in DATALOADERS}


def read_experiment(path: Path, options: Mapping[str, Any]) -> Experiment:
    """Read a config and find the stage-1 configs that it starts from."""
    config = read_config(path, options)
    stage1 = {}
    starts = {
        f"model.encoders.{stream}": encoder
        for stream, encoder in config.model.encoders.items()
    }
    for part, node in {**starts, **dict(teachers_of(config.model))}.items():
        key = f"{part}.init_cfg.checkpoint"
        checkpoint = (node.get("init_cfg") or {}).get("checkpoint")
        found = _STAGE1.fullmatch(str(checkpoint))
        if found and key not in options:
            stage1[key] = found["stem"]
    dataset = config.test_dataloader.dataset
    return Experiment(
        path=path,
        options=dict(options),
        stage1=stage1,
        streams=tuple(config.model.encoders),
        encoders={
            stream: class_name(encoder.get("type"))
            for stream, encoder in config.model.encoders.items()
        },
        max_epochs=int(config.train_cfg.get("max_epochs", 1)),
        test_set={k: v for k, v in dataset.items() if isinstance(v, str)},
    )


def plan(
    paths: Sequence[Path],
    *,
    options: Mapping[str, Any] | None = None,
    data_root: Path | None = None,
    folds: int | None = None,
    variants: Sequence[Mapping[str, Any]] = ({},),
) -> list[Experiment]:
    """Experiments of the configs and of their stage 1, each after what it needs.

    Args:
        paths: config files.
        options: dotted keys, for all of them.
        data_root: put into every dataloader.
        folds: of a cross-validation: the configs are read with the first of them.
        variants: dotted keys of each variant, of :func:`grid`. Every config of
            ``paths`` is run in each; a stage 1 that is not among them is run once.
    """
    given = dict(options or {})
    if data_root is not None:
        given |= {f"{key}.dataset.data_root": str(data_root) for key in DATALOADERS}
    if folds is not None:
        given |= fold_options(0)
    ordered: dict[str, Experiment] = {}
    by_stem = {path.stem: path for path in paths}
    if len(by_stem) != len(paths):
        raise InputError(
            f"two of the configs {[str(p) for p in paths]} bear one name: their "
            "folders would be the same"
        )

    def add(path: Path, variant: Mapping[str, Any]) -> str:
        own = variant if path.stem in by_stem else {}
        name = path.stem + variant_name(own)
        if name in ordered:
            return name
        found = read_experiment(path, {**given, **own})
        _check_folds(path, found.test_set, folds)
        stage1 = {
            key: add(by_stem.get(stem) or find_config(stem, beside=path), variant)
            for key, stem in found.stage1.items()
        }
        ordered[name] = replace(found, stage1=stage1, variant=variant_name(own))
        return name

    for variant in variants:
        for path in paths:
            add(path, variant)
    return list(ordered.values())


def _check_folds(path: Path, test_set: Mapping[str, Any], folds: int | None) -> None:
    """Refuse a data root that has other folds than so many."""
    if folds is None:
        return
    root = Path(test_set.get("data_root") or ".")
    for number in range(folds + 1):
        file = root / FOLD_FILE.format(number)
        if file.is_file() != (number < folds):
            what = "is not there" if number < folds else "is there"
            raise InputError(
                f"{path}: --folds {folds}, but {file} {what}; expected"
                f" {FOLD_FILE.format(0)} to {FOLD_FILE.format(folds - 1)}, as"
                " tools/data/custom/prepare.py --folds writes them"
            )


def grid(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every combination of the values of a sweep, the last key changing fastest.

    Args:
        values: by dotted key, a list of two values or more.

    Raises:
        ValueError: a key without several different values, or the seed.
    """
    for key, found in values.items():
        texts = [str(one) for one in found] if isinstance(found, list | tuple) else []
        if len(texts) < 2 or len(set(texts)) < len(texts):
            raise InputError(
                f"--vary {key}={found}: expected two or more different values, such as"
                " optim_wrapper.optimizer.lr=1e-3,4e-3"
            )
        if key == "randomness.seed":
            raise InputError("--vary randomness.seed: use --seeds N, which tests pairs")
    combinations = product(*values.values())
    return [dict(zip(values, one, strict=True)) for one in combinations]


def variant_name(variant: Mapping[str, Any]) -> str:
    """End of a variant's name, and of its folder: ``-lr=0.001-max_epochs=5``."""
    last = [key.rpartition(".")[2] for key in variant]
    short = last if len(set(last)) == len(last) else [*variant]
    pairs = zip(short, variant.values(), strict=True)
    text = "".join(f"-{key}={value}" for key, value in pairs)
    return re.sub(r"[^\w=.+-]+", "_", text)


def find_config(stem: str, *, beside: Path) -> Path:
    """The config ``<stem>.py`` in the folder of ``beside`` or in one next to it."""
    near = beside.parent / f"{stem}.py"
    if near.is_file():
        return near
    found = sorted(beside.resolve().parent.parent.glob(f"*/{stem}.py"))
    if len(found) != 1:
        raise FileNotFoundError(
            f"{beside} starts from work_dirs/{stem}/best.pth, but there are "
            f"{len(found)} configs {stem}.py in the folders around it, expected 1"
        )
    return found[0]


def groups(experiments: Sequence[Experiment]) -> list[list[Experiment]]:
    """Tables: a fusion stands with the methods that share stage 1 with it.

    One without any such link stands in the only table that is tested on the same
    split of the same annotation; where there is none, or several, they stand together.
    """
    member = {e.name: e.name for e in experiments}
    for experiment in experiments:
        for stem in experiment.stage1.values():
            old, new = member[experiment.name], member[stem]
            member = {k: new if v == old else v for k, v in member.items()}
    count = list(member.values())
    linked = {key for key in count if count.count(key) > 1}
    homes: dict[tuple[Any, ...], set[str]] = {}
    for experiment in experiments:
        if member[experiment.name] in linked:
            homes.setdefault(_tested(experiment), set()).add(member[experiment.name])
    tables: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        key = member[experiment.name]
        if key not in linked:
            near = homes.get(_tested(experiment), set())
            key = next(iter(near)) if len(near) == 1 else ""
        tables.setdefault(key, []).append(experiment)
    return list(tables.values())


def _tested(experiment: Experiment) -> tuple[Any, ...]:
    """Values that say on which clips it is tested."""
    keys = ("data_root", "ann_file", "split")
    return tuple(experiment.test_set.get(key) for key in keys)


def _as_arguments(options: Mapping[str, Any]) -> list[str]:
    """``--cfg-options`` that MMEngine's DictAction reads back as they are."""
    return [f"{key}={_as_text(key, value)}" for key, value in options.items()]


def _as_text(key: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ",".join(_as_text(key, item) for item in value) + "]"
    text = str(value)
    unsafe = sorted(set(text) & set(" ,[]()'\""))
    if unsafe:
        raise InputError(
            f"{key} is {text!r}: --cfg-options cannot carry {''.join(unsafe)!r}; use a "
            "path without them, such as one relative to the current folder"
        )
    return text
