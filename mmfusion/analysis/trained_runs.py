"""The folders of complete runs: config, checkpoint and predictions of each."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmfusion.analysis.execution import LOG, RunCommand, RunFailed, failure_text
from mmfusion.analysis.experiments import PREDICTIONS, read_config
from mmfusion.engine.runner.work_dir import BEST, CONFIG_MARK, read_finished
from mmfusion.evaluation.predictions import Predictions, load_predictions
from mmfusion.registry import DATASETS
from mmfusion.utils.errors import AnnotationError, WorkDirError
from mmfusion.utils.text_files import parse_json, read_lines
from mmfusion.weights.files import read_tensors


@dataclass(frozen=True)
class TrainedRun:
    """A run that is complete.

    Attributes:
        folder: of the run.
        config_path: the config that the run wrote there.
    """

    folder: Path
    config_path: Path

    @cached_property
    def config(self) -> Config:
        """The config as it was run."""
        return read_config(self.config_path, work_dir=self.folder)

    @property
    def name(self) -> str:
        """The config's stem."""
        return self.config_path.stem

    @property
    def seed(self) -> int:
        """Seed of every random draw."""
        return int((self.config.get("randomness") or {}).get("seed") or 0)

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of what the model sees."""
        return tuple(self.config.model.get("encoders") or ("video",))

    @property
    def checkpoint(self) -> Path:
        """The one that is tested."""
        return self.folder / BEST

    @property
    def predictions_path(self) -> Path:
        """File that the test writes."""
        return self.folder / PREDICTIONS

    @property
    def is_tested(self) -> bool:
        """True if the predictions are there, and no older than the checkpoint."""
        found, made = self.predictions_path, self.checkpoint
        return found.is_file() and found.stat().st_mtime >= made.stat().st_mtime

    @property
    def reliance_path(self) -> Path:
        """File that ``tools/analysis/stream_reliance.py`` writes."""
        return self.folder / "reliance" / "reliance.json"

    @cached_property
    def predictions(self) -> Predictions:
        """Scores and labels of the test clips."""
        return load_predictions(self.predictions_path)

    @property
    def epochs(self) -> int | None:
        """Epochs that were trained; None for a run that was not complete."""
        done = read_finished(self.folder)
        return None if done is None else int(done["epoch"])

    @property
    def parameters(self) -> int:
        """Number of weights in the checkpoint."""
        return sum(one.numel() for one in read_tensors(str(self.checkpoint)).values())

    def dataset(self, loader: str, pipeline: Sequence[Mapping[str, Any]] = ()) -> Any:
        """The dataset of a loader through another pipeline; None without such a loader.

        Args:
            loader: ``train_dataloader``, ``val_dataloader`` or ``test_dataloader``.
            pipeline: configs of transforms.
        """
        settings = (self.config.get(loader) or {}).get("dataset")
        if settings is None or "ann_file" not in settings:
            return None
        return DATASETS.build({**settings, "pipeline": list(pipeline)})


def place_of(folders: Sequence[Path], name: str) -> Path:
    """A file about runs: in the only one, or in the folder that holds all of them."""
    if len(folders) == 1:
        return folders[0] / name
    home = os.path.commonpath([os.path.abspath(folder) for folder in folders])
    absolute = any(folder.is_absolute() for folder in folders)
    return Path(home if absolute else os.path.relpath(home)) / name


def read_runs(folders: Sequence[Path]) -> list[TrainedRun]:
    """The runs in these folders, each a run's own or one that holds ``seed0``...

    Raises:
        WorkDirError: a folder has no complete run of ours, or more than one.
    """
    found = []
    for folder in folders:
        seeds = sorted(folder.glob("seed*")) if folder.is_dir() else []
        own = [path for path in seeds if (path / BEST).is_file()]
        found += [_read_run(path) for path in own or [folder]]
    places = [run.folder.resolve() for run in found]
    for run in found:
        if places.count(run.folder.resolve()) > 1:
            raise WorkDirError(f"{run.folder} was given twice; give each run once")
    return found


def _read_run(folder: Path) -> TrainedRun:
    if not folder.is_dir():
        raise WorkDirError(
            f"{folder} is no folder; expected that of a run, work_dirs/x"
        )
    if not (folder / BEST).is_file():
        raise WorkDirError(
            f"{folder} has no {BEST}: no run has been trained there to its first"
            " validation; expected the folder that tools/train.py wrote (--work-dir)"
        )
    return TrainedRun(folder, config_of_run(folder))


def config_of_run(folder: Path) -> Path:
    """The config that a run has written into its folder.

    Raises:
        WorkDirError: the folder has none, or those of several runs.
    """
    configs = [path for path in sorted(folder.glob("*.py")) if _is_of_run(path)]
    if len(configs) != 1:
        names = [path.name for path in configs]
        raise WorkDirError(
            f"{folder} has {len(configs)} configs of runs {names}, expected the one"
            " that tools/train.py writes there"
        )
    return configs[0]


def _is_of_run(path: Path) -> bool:
    _, first = next(read_lines(path, error_type=WorkDirError), (0, ""))
    return first.startswith(CONFIG_MARK)


def read_scalars(folder: Path) -> list[dict[str, Any]]:
    """Every record that the runs of a folder logged, the oldest first.

    A run that was continued has a file for each part.
    """
    records = []
    for path in sorted(folder.glob("*/vis_data/scalars.json")):
        for number, line in read_lines(path, error_type=WorkDirError):
            try:
                record = parse_json(line.encode(), f"{path}:{number}")
            except AnnotationError:
                continue  # the last line of a run that was killed, or a NaN
            if isinstance(record, dict):
                records.append(record)
    return records


def test_where_needed(
    runs: Sequence[TrainedRun], tools: Path, run_command: RunCommand
) -> Iterator[str]:
    """Test runs that were not tested, fused models without each stream as well.

    Yields a line on what was done.

    Args:
        runs: complete ones.
        tools: folder of ``test.py``.
        run_command: starts a command with a log file.

    Raises:
        RunFailed: a test ended with an error; the text has the end of its log.
    """
    for run in runs:
        if not run.is_tested:
            run.predictions_path.unlink(missing_ok=True)
            command = [sys.executable, str(tools / "test.py"), str(run.config_path)]
            command += [str(run.checkpoint), "--work-dir", str(run.folder)]
            command += ["--dump", str(run.predictions_path)]
            _run(command, run.folder / LOG, run_command)
            yield f"tested {run.folder}"
        known = run.reliance_path
        made = run.checkpoint.stat().st_mtime
        is_done = known.is_file() and known.stat().st_mtime >= made
        # a stream is swapped for that of another clip
        if len(run.streams) > 1 and len(run.predictions) > 1 and not is_done:
            tool = tools / "analysis" / "stream_reliance.py"
            command = [sys.executable, str(tool), str(run.folder)]
            _run(command, run.folder / LOG, run_command)
            yield f"tested {run.folder} without each stream"


def _run(command: list[str], log: Path, run_command: RunCommand) -> None:
    code = run_command(command, log, lambda text: None)
    if code != 0:
        raise RunFailed(failure_text(command, log, code), code)
