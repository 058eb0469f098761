"""Clips of a config's datasets as plain numbers, each read once for all folds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray

from mmfusion.analysis.baselines.linear import Labelled
from mmfusion.analysis.baselines.streams import STREAMS, StreamNumbers
from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.error_policy import BROKEN_CLIP_ERRORS
from mmfusion.datasets.record_selection import STREAMS as RECORD_KEYS
from mmfusion.datasets.transforms import SampleObservedFrames
from mmfusion.engine.launch.argument_check import class_name
from mmfusion.registry import DATASETS
from mmfusion.utils.errors import InputError

MOST_CLIPS = 5_000  # of a config, more would take longer than a table may wait
LOADERS = ("train", "val", "test")


@dataclass(frozen=True)
class Clips:
    """Clips of one split.

    Attributes:
        ids: n names.
        labels: by task, of those clips that have one.
        kept: n values of :meth:`StreamNumbers.read`; None for a clip without them.
    """

    ids: list[str]
    labels: list[Mapping[str, int]]
    kept: list[Any]

    def labelled(self, x: NDArray[np.float64], task: str) -> Labelled:
        """Rows of ``x`` (n, d) whose clip has a label of the task."""
        places = [i for i, label in enumerate(self.labels) if task in label]
        labels = [self.labels[i][task] for i in places]
        return Labelled(x[places], np.array(labels, np.int64))


class ClipReader:
    """Reads what is kept of clips; one that was read before is not read again."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], Any] = {}

    def describe(self, config: Config, stream: str) -> dict[str, Any]:
        """Stream, numbers, and what tells its clips from others, as plain values."""
        datasets = _datasets(config, stream)
        return {
            "stream": stream,
            "numbers": _numbers(stream).says,
            "clips": {split: one.digest() for split, one in datasets.items()},
        }

    def splits(self, config: Config, stream: str) -> dict[str, Clips]:
        """Clips of ``train``, ``val`` and ``test`` of a config.

        ``val`` is left out where it has clips of another split, as where the test set
        validates: nothing may be chosen on it then.

        Raises:
            InputError: data that a linear baseline does not read.
        """
        numbers, datasets = _numbers(stream), _datasets(config, stream)
        sizes = sum(len(dataset) for dataset in datasets.values())
        if sizes > MOST_CLIPS:
            raise InputError(f"{sizes} clips are more than {MOST_CLIPS}")
        names = {split: _names(dataset) for split, dataset in datasets.items()}
        if {*names["val"]} & {*names["train"], *names["test"]}:
            del datasets["val"]
        if {*names["train"]} & {*names["test"]}:
            raise InputError("clips of the test are trained on")
        return {
            split: self._read(dataset, stream, numbers, may_lose=split != "test")
            for split, dataset in datasets.items()
        }

    def _read(
        self,
        dataset: MultiModalDataset,
        stream: str,
        numbers: StreamNumbers,
        *,
        may_lose: bool,
    ) -> Clips:
        ids, labels, kept = [], [], []
        for index in range(len(dataset)):
            record = dataset.get_record(index)
            key = dataset.data_root, record["id"], stream
            if stream == "text":  # several files may ask about a clip
                key = dataset.data_root, str(record["text"]), stream
            if key not in self._known:
                try:
                    self._known[key] = _read_one(dataset, index, stream, numbers)
                except BROKEN_CLIP_ERRORS:
                    if may_lose:  # a training goes on without it, too
                        continue
                    raise
            ids.append(record["id"])
            labels.append(record["label"])
            kept.append(self._known[key])
        return Clips(ids, labels, kept)


def vectors(stream: str, train: Clips) -> Callable[[Clips], NDArray[np.float64]]:
    """Function from clips to (n, d), its choices made on the training clips.

    A clip without the stream gets the mean of the training clips.
    """
    known = [one for one in train.kept if one is not None]
    if not known:
        raise InputError(f"no training clip has the stream {stream!r}")
    learnt = STREAMS[stream].learn(known)
    mean = learnt(known).mean(axis=0)

    def make(clips: Clips) -> NDArray[np.float64]:
        there = [place for place, one in enumerate(clips.kept) if one is not None]
        x = np.tile(mean, (len(clips.ids), 1))
        if there:
            x[there] = learnt([clips.kept[place] for place in there])
        return x

    return make


def _numbers(stream: str) -> StreamNumbers:
    if stream not in STREAMS:
        raise InputError(f"no plain numbers of the stream {stream!r} are defined")
    return STREAMS[stream]


def _datasets(config: Config, stream: str) -> dict[str, MultiModalDataset]:
    return {split: _open(config, split, _numbers(stream)) for split in LOADERS}


def _open(config: Config, split: str, numbers: StreamNumbers) -> MultiModalDataset:
    settings = (config.get(f"{split}_dataloader") or {}).get("dataset") or {}
    if class_name(settings.get("type")) != MultiModalDataset.__name__:
        raise InputError(f"the {split} set is no MultiModalDataset")
    for transform in settings.get("pipeline") or ():
        if class_name(transform.get("type")) == SampleObservedFrames.__name__:
            raise InputError("the clips are anticipated, not seen")
    settings = {**settings, "pipeline": list(numbers.pipeline), "on_error": None}
    return DATASETS.build(settings)


def _names(dataset: MultiModalDataset) -> list[str]:
    return [dataset.get_record(index)["id"] for index in range(len(dataset))]


def _read_one(
    dataset: MultiModalDataset, index: int, stream: str, numbers: StreamNumbers
) -> Any:
    record = dataset.get_record(index)
    if all(record.get(key) is None for key in RECORD_KEYS[stream]):
        return None
    return numbers.read(dataset[index])
