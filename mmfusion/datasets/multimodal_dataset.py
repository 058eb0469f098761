"""One dataset for every stream: it reads records, and hands them to a pipeline."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from torch.utils.data import Dataset

from mmfusion.datasets.annotation import check_metainfo, check_records, load_annotation
from mmfusion.datasets.error_policy import (
    BROKEN_CLIP_ERRORS,
    BadSample,
    ErrorPolicy,
    attach_bad_samples,
    substitute_index,
)
from mmfusion.datasets.record_store import RecordStore
from mmfusion.datasets.sample_rng import sample_rng
from mmfusion.datasets.sampler import SampleKey
from mmfusion.layouts.mmaction import read_mmaction
from mmfusion.layouts.mmaction_pose import load_pose_file
from mmfusion.registry import DATASETS, TRANSFORMS
from mmfusion.utils.errors import InputError, MediaError
from mmfusion.utils.paths import resolve_inside

# stream -> the keys of a record that hold it
STREAMS = {
    "video": ("video", "frame_dir"),
    "skeleton": ("skeleton",),
    "boxes": ("boxes",),
    "text": ("text",),
}


@DATASETS.register_module()
class MultiModalDataset(Dataset):
    """Clips with video, hand skeletons and text, any of which may be missing.

    ``dataset[SampleKey(index, epoch, seed)]`` runs the pipeline on one record, with the
    global random generators seeded by (seed, epoch, id) and put back afterwards;
    ``dataset[index]`` means epoch 0 and seed 0. The pipeline starts from the record's
    own keys (see ``annotation.py``) and from these:

    - ``sample_id``: the record's id
    - ``video_path``, ``frame_dir_path``, ``skeleton_path``, ``boxes_path``: absolute,
      inside data_root, None for a stream that this record lacks
    - ``skeleton_data``: arrays in memory in place of a file, or None; see
      ``mmaction_formats.py``
    - ``ann_meta``: the metainfo of the annotation; shared, not to be changed

    A transform may have a method ``keeps(record) -> bool``: the records that it does
    not keep are dropped, and counted in the log. A subclass for another layout
    overrides :meth:`load_records` only.

    Args:
        ann_file: annotation file; a relative path counts from the working directory.
        pipeline: configs of transforms, applied in turn.
        data_root: folder that holds every file that a record names.
        split: keep the records of this split; None keeps all.
        require: streams among ``video``, ``skeleton``, ``boxes``, ``text`` that a
            record must have; the others are dropped, and counted in the log.
        test_mode: labels may be missing, and no clip may be replaced by another.
        on_error: ``dict(policy="raise"|"skip"|"replace", max_bad=0.01)``, see
            ``error_policy.py``; None raises.
        num_classes: ``{task: number of classes}`` of the heads, checked against the
            annotation; for MMAction2's lists, which name no classes, it says how many.
        ann_format: ``mmfusion``, or one of MMAction2's: ``mmaction_video``,
            ``mmaction_rawframe``, ``mmaction_pose``, ``mmaction_video_text``.
        ann_options: options of the reader of that format, see ``mmaction_formats.py``.
        indices: keep the first so many records, or those at the given places.
        link_roots: folders outside data_root to which symbolic links may lead.

    Example:
        >>> dataset = MultiModalDataset(  # doctest: +SKIP
        ...     "data/h2o/annotation.json", [], data_root="data/h2o", split="train"
        ... )
        >>> dataset[0]["sample_id"]  # doctest: +SKIP
        'subject1/h1/0#16'
    """

    def __init__(
        self,
        ann_file: str,
        pipeline: Sequence[Mapping],
        *,
        data_root: str = "",
        split: str | None = None,
        require: Sequence[str] = (),
        test_mode: bool = False,
        on_error: Mapping | None = None,
        num_classes: Mapping[str, int] | None = None,
        ann_format: str = "mmfusion",
        ann_options: Mapping | None = None,
        indices: int | Sequence[int] | None = None,
        link_roots: Sequence[str] = (),
    ) -> None:
        self.ann_file = ann_file
        self.data_root = data_root or "."
        self.split = split
        self.test_mode = test_mode
        self.num_classes = dict(num_classes or {})
        self.ann_format = ann_format
        self.ann_options = dict(ann_options or {})
        self.link_roots = tuple(link_roots)
        self.on_error = ErrorPolicy.from_config(on_error, test_mode=test_mode)
        self.pipeline = [TRANSFORMS.build(dict(config)) for config in pipeline]

        metainfo, records = self.load_records()
        # arrays in memory are no part of the format, and travel beside the record
        arrays = {
            record["id"]: record.pop("skeleton_data")
            for record in records
            if isinstance(record, dict) and "skeleton_data" in record
        }
        self._metainfo = check_metainfo(metainfo, self.source)
        records = check_records(records, self._metainfo, self.source)
        self._check_num_classes()
        records = self._of_split(records)
        records = self._with_streams(records, require)
        records = self._kept_by_pipeline(records)
        records = _subset(records, indices)
        self._check_labels(records)
        self.has_labels = any(record["label"] for record in records)
        self._records = RecordStore(records)
        self._arrays = {
            record["id"]: arrays[record["id"]]
            for record in records
            if record["id"] in arrays
        }

    @property
    def source(self) -> str:
        """Where the records are from, for error messages."""
        return self.ann_file or f"{type(self).__name__} of {self.data_root!r}"

    @property
    def metainfo(self) -> dict:
        """Metainfo of the annotation, with what is under its ``extra``, and the split.

        MMEngine gives it to metrics.
        """
        extra = self._metainfo["extra"] or {}
        return {**extra, **self._metainfo, "split": self.split}

    def get_classes(self, task: str) -> list[str]:
        """Names of the classes of ``task``, in the order of their numbers."""
        classes = self._metainfo["classes"]
        if task not in classes:
            raise InputError(f"task is {task!r}; expected one of {sorted(classes)}")
        return list(classes[task])

    def load_records(self) -> tuple[dict, list[dict]]:
        """Read the annotation: metainfo and the records of every split.

        What it returns is checked afterwards by ``check_metainfo`` and
        ``check_records``. A subclass overrides it for a published layout.
        """
        if self.ann_format == "mmfusion":
            if self.ann_options:
                raise InputError(
                    f"ann_options is {self.ann_options}; expected none for ann_format"
                    " 'mmfusion', which says everything in the file"
                )
            return load_annotation(self.ann_file)
        return read_mmaction(
            self.ann_file,
            self.ann_format,
            split=self.split,
            num_classes=self.num_classes,
            options=self.ann_options,
        )

    def get_record(self, index: int) -> dict:
        """The record at ``index``, with every key of the annotation format."""
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, key: SampleKey | int) -> Any:
        """One sample, or a :class:`BadSample` where the policy ``skip`` leaves it out.

        Args:
            key: a SampleKey, or an index, which means epoch 0 and seed 0.

        Returns:
            What the pipeline's last transform gives, usually PackInputs.
        """
        key = key if isinstance(key, SampleKey) else SampleKey(int(key))
        if not -len(self) <= key.index < len(self):
            raise IndexError(f"index is {key.index}; the dataset has {len(self)}")
        key = key._replace(index=key.index % len(self))
        if self.on_error.policy == "raise":
            return self._load(key)
        return self._load_or_report(key)

    def _load(self, key: SampleKey) -> Any:
        results = self._start(key.index)
        with sample_rng(key.seed, key.epoch, results["sample_id"]):
            for transform in self.pipeline:
                results = transform(results)
                if results is None:
                    raise MediaError(
                        f"{type(transform).__name__} gave None for the sample"
                        f" {self._records[key.index]['id']!r}; expected results"
                    )
        return results

    def _load_or_report(self, key: SampleKey) -> Any:
        bad: list[BadSample] = []
        index = key.index
        for attempt in range(self.on_error.max_tries + 1):
            try:
                sample = self._load(key._replace(index=index))
            except BROKEN_CLIP_ERRORS as error:
                bad.append(
                    BadSample(
                        self._records[index]["id"],
                        type(error).__name__,
                        str(error),
                        self.on_error.limit(len(self)),
                    )
                )
            else:
                attach_bad_samples(sample, bad)
                return sample
            if self.on_error.policy == "skip":
                return bad[0]
            index = substitute_index(
                len(self),
                index=key.index,
                epoch=key.epoch,
                seed=key.seed,
                attempt=attempt,
            )
        names = "\n  ".join(f"{item.sample_id}: {item.message}" for item in bad)
        raise MediaError(
            f"{bad[0].sample_id!r} and the {len(bad) - 1} clips tried in its place are"
            f" broken (on_error.max_tries={self.on_error.max_tries}):\n  {names}"
        )

    def _start(self, index: int) -> dict:
        """The results that a pipeline begins with."""
        results = self._records[index]
        name = results["id"]
        files = {
            "video": results["video"],
            "frame_dir": results["frame_dir"],
            "skeleton": (results["skeleton"] or {}).get("file"),
            "boxes": (results["boxes"] or {}).get("file"),
        }
        for stream, path in files.items():
            results[f"{stream}_path"] = path and resolve_inside(
                self.data_root,
                path,
                what=f"{stream} of record {name!r} in {self.source}",
                link_roots=self.link_roots,
            )
        results["sample_id"] = name
        results["skeleton_data"] = self._arrays.get(name)
        if self.ann_format == "mmaction_pose" and results["skeleton_path"]:
            results["skeleton_data"] = load_pose_file(
                results["skeleton_path"],
                results,
                max_persons=self.ann_options.get("max_persons", 2),
            )
        results["ann_meta"] = self._metainfo
        return results

    def _check_num_classes(self) -> None:
        classes = self._metainfo["classes"]
        for task, count in self.num_classes.items():
            if task not in classes:
                raise InputError(
                    f"num_classes has the task {task!r}; expected one of"
                    f" {sorted(classes)}, the tasks in {self.source}"
                )
            if count != len(classes[task]):
                raise InputError(
                    f"num_classes is {count} for {task!r} but {self.source} lists"
                    f" {len(classes[task])} classes; set num_classes, and the head's,"
                    f" to {len(classes[task])}"
                )

    def _check_labels(self, records: Sequence[Mapping]) -> None:
        """Training needs a label for each task that has a head."""
        if self.test_mode:
            return
        for task in self.num_classes:
            lacking = [item["id"] for item in records if task not in item["label"]]
            if lacking:
                raise InputError(
                    f"{len(lacking)} of {len(records)} records of split {self.split!r}"
                    f" in {self.source} have no label for {task!r}, as {lacking[:3]};"
                    " expected one for each, or test_mode=True"
                )

    def _of_split(self, records: list[dict]) -> list[dict]:
        if self.split is None:
            kept = records
        else:
            kept = [record for record in records if record["split"] == self.split]
        if not kept:
            sizes = dict(Counter(record["split"] for record in records))
            raise InputError(
                f"split {self.split!r} selects none of the {len(records)} records of"
                f" {self.source}; expected one of these splits (with their sizes):"
                f" {sizes}"
            )
        return kept

    def _with_streams(self, records: list[dict], require: Sequence[str]) -> list[dict]:
        for stream in require:
            if stream not in STREAMS:
                raise InputError(
                    f"require has {stream!r}; expected some of {tuple(STREAMS)}"
                )
            kept = [
                record
                for record in records
                if any(record[key] is not None for key in STREAMS[stream])
            ]
            if not kept:
                raise InputError(
                    f"require has {stream!r}, but no record of split {self.split!r} in"
                    f" {self.source} has it"
                )
            if len(kept) < len(records):
                print_log(
                    f"{self.source}: {len(records) - len(kept)} of {len(records)}"
                    f" records of split {self.split!r} dropped for lack of {stream}",
                    logger="current",
                )
            records = kept
        return records

    def _kept_by_pipeline(self, records: list[dict]) -> list[dict]:
        """The records that each transform ``keeps``, where it has such a method."""
        for transform in self.pipeline:
            keeps = getattr(transform, "keeps", None)
            if keeps is None:
                continue
            kept = [record for record in records if keeps(record)]
            if len(kept) == len(records):
                continue
            counts = (
                f"{self.source}: {len(records) - len(kept)} of {len(records)} records"
                f" of split {self.split!r} dropped by {type(transform).__name__}"
            )
            if not kept:
                raise InputError(f"{counts}; expected one at least to remain")
            print_log(counts, logger="current")
            records = kept
        return records


def _subset(records: list[dict], indices: int | Sequence[int] | None) -> list[dict]:
    """The first so many records, or those at the given places."""
    if indices is None:
        return records
    if isinstance(indices, int):
        indices = range(min(indices, len(records)))
    wrong = [index for index in indices if not 0 <= index < len(records)]
    if wrong or not len(indices):
        raise InputError(
            f"indices has {wrong[:3]}; expected at least one in 0..{len(records) - 1}"
            if wrong
            else "indices selects no record; expected at least one"
        )
    return [records[index] for index in indices]
