"""One dataset for every stream: it reads records, and hands them to a pipeline."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils.data import Dataset

from mmfusion.datasets.annotation import check_metainfo, check_records, load_annotation
from mmfusion.datasets.clip_extent import check_outside, within_videos
from mmfusion.datasets.clip_process import ClipProcess
from mmfusion.datasets.error_policy import (
    BROKEN_CLIP_ERRORS,
    BadSample,
    ErrorPolicy,
    attach_bad_samples,
    substitute_index,
)
from mmfusion.datasets.frame_numbers import check_first_files
from mmfusion.datasets.join_questions import add_questions, files_of
from mmfusion.datasets.loader_watch import LoaderWatch
from mmfusion.datasets.record_selection import (
    check_labels,
    kept_by_pipeline,
    subset,
    tell_missing,
    with_streams,
    without_labels,
)
from mmfusion.datasets.record_store import RecordStore
from mmfusion.datasets.sample_rng import sample_rng
from mmfusion.datasets.sampler import SampleKey
from mmfusion.datasets.untrimmed import Untrimmed, with_background, with_past
from mmfusion.layouts.mmaction import read_mmaction
from mmfusion.layouts.mmaction_pose import load_pose_file
from mmfusion.registry import DATASETS, TRANSFORMS
from mmfusion.utils.errors import (
    AnnotationError,
    ClipLostError,
    InputError,
    LostProcessError,
    MediaError,
)
from mmfusion.utils.paths import resolve_inside


@DATASETS.register_module()
class MultiModalDataset(Dataset):
    """Clips with video, hand skeletons and text, any of which may be missing.

    ``dataset[SampleKey(index, epoch, seed)]`` runs the pipeline on one record, with the
    global random generators seeded by (seed, epoch, id) and put back afterwards;
    ``dataset[index]`` means epoch 0 and seed 0. A loader reads in a process of its own
    (``clip_process.py``), which ends when a clip takes longer than ``clip_timeout``:
    the clip is then a broken one. ``dataset[...]`` reads here, where a debugger can
    follow. The pipeline starts from the record's
    own keys (see ``annotation.py``) and from these:

    - ``sample_id``: the record's id
    - ``video_path``, ``frame_dir_path``, ``skeleton_path``, ``boxes_path``: absolute,
      inside data_root, None for a stream that this record lacks
    - ``path_roots``: data_root and link_roots, to which links in a folder may lead
    - ``skeleton_data``: arrays in memory in place of a file, or None; see
      ``layouts/mmaction.py``
    - ``outside``: the argument
    - ``ann_meta``: the metainfo of the annotation; shared, not to be changed

    The records that a transform of the pipeline does not keep
    (:class:`~mmfusion.datasets.transforms.base.RecordFilter`) are dropped, and counted
    in the log. The tools/data/*/prepare.py write annotations from published layouts.

    Args:
        ann_file: annotation file; a relative path counts from data_root.
        pipeline: configs of transforms, applied in turn.
        data_root: folder that holds every file that a record names.
        split: keep the records of this split; None keeps all.
        require: streams among ``video``, ``skeleton``, ``boxes``, ``text`` that a
            record must have; the others are dropped, and counted in the log.
        test_mode: labels may be missing, and no clip may be replaced by another.
        on_error: ``dict(policy="raise"|"skip"|"replace", max_bad=0.01)``, see
            ``error_policy.py``; None raises.
        outside: treatment of a clip that ends after its video, by over half a second,
            or starts after it: ``raise``; ``cut`` ends it with the video; ``drop``. See
            ``clip_extent.py``. Where only the opened video tells its length, what is
            not cut is a broken clip under ``on_error``.
        num_classes: ``{task: number of classes}`` of the heads, checked against the
            annotation; for MMAction2's lists, which name no classes, it says how many.
        made_by: command that writes ann_file, told where there is none;
            ``{data_root}`` in it stands for data_root.
        ann_format: ``mmfusion``, or one of MMAction2's: ``mmaction_video``,
            ``mmaction_rawframe``, ``mmaction_pose``, ``mmaction_video_text``.
        ann_options: options of the reader of that format, see ``layouts/mmaction.py``;
            a relative label_map counts from data_root, too.
        questions: a JSON Lines file of questions, relative to data_root; ``"generic"``
            asks the two fixed questions of every clip; None keeps the annotation's own.
            Several files are joined only with ``join_questions``.
        join_questions: allow several files of questions, perhaps of several sources.
        indices: keep the first so many records, or those at the given places.
        labelled: the records, as by ``indices`` among those, whose labels may be seen;
            the others lose theirs, for training with ``unlabelled`` of the recognizer.
            None leaves every record its labels.
        link_roots: folders outside data_root to which symbolic links may lead.
        untrimmed: whole videos, or windows of them, in place of the clips of their
            actions: ``dict(seconds=..., stride=...)``, see ``untrimmed.py``. Each task
            gets the class ``background``, the last.
        past_seconds: each clip's record gets the labelled actions of its video in so
            many seconds before it, for :class:`LabelObserved`; None gives none.
        clip_timeout: seconds that a loader gives one clip; None sets no limit.

    Example:
        >>> dataset = MultiModalDataset(  # doctest: +SKIP
        ...     "mmfusion/annotation.json", [], data_root="data/h2o", split="train"
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
        outside: str = "raise",
        num_classes: Mapping[str, int] | None = None,
        made_by: str | None = None,
        ann_format: str = "mmfusion",
        ann_options: Mapping | None = None,
        questions: str | Sequence[str] | None = None,
        join_questions: bool = False,
        indices: int | Sequence[int] | None = None,
        labelled: int | Sequence[int] | None = None,
        link_roots: Sequence[str] = (),
        untrimmed: Mapping | None = None,
        past_seconds: float | None = None,
        clip_timeout: float | None = 30.0,
    ) -> None:
        if clip_timeout is not None and not clip_timeout > 0:
            raise InputError(
                f"clip_timeout is {clip_timeout}; expected seconds above 0, or None"
            )
        self.clip_timeout = clip_timeout
        self.watch: LoaderWatch | None = None
        self._process: ClipProcess | None = None
        self.data_root = data_root or "."
        self.ann_file = os.path.join(data_root, ann_file)
        self.split = split
        self.test_mode = test_mode
        self.num_classes = dict(num_classes or {})
        self.ann_format = ann_format
        self.ann_options = dict(ann_options or {})
        self.link_roots = tuple(link_roots)
        self.on_error = ErrorPolicy.from_config(on_error, test_mode=test_mode)
        check_outside(outside)
        self.outside = outside
        self.pipeline = [TRANSFORMS.build(dict(config)) for config in pipeline]
        self.made_by = made_by
        files = files_of(questions, join_questions)
        self._metainfo, records, arrays = self._read()
        if untrimmed is not None:
            records = Untrimmed(**untrimmed).records(records, self.ann_file)
            self._metainfo["classes"] = with_background(self._metainfo["classes"])
        if past_seconds is not None:
            records = with_past(records, past_seconds, self.ann_file)
        self._check_num_classes()
        if files:
            self._metainfo, records = add_questions(
                self._metainfo, records, files, self.data_root
            )
        where = f"split {split!r} of {self.ann_file}"
        if not records:
            raise InputError(f"{where} has no record; expected one at least")
        records = with_streams(records, require, where)
        records = kept_by_pipeline(records, self.pipeline, where)
        records = within_videos(records, outside, where)
        records = subset(records, indices)
        tell_missing(records, where)
        check_first_files(records, self.data_root, self.link_roots, where)
        if not test_mode and untrimmed is None:
            check_labels(records, self.num_classes, where)
        records = without_labels(records, labelled, where)
        self.has_labels = untrimmed is not None or any(r["label"] for r in records)
        self._records = RecordStore(records)
        names = {record["id"] for record in records}
        self._arrays = {name: arrays[name] for name in arrays if name in names}

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

    def _read(self) -> tuple[dict, list[dict], dict[str, dict]]:
        """Metainfo, the records of the split, and arrays in memory by id."""
        if not os.path.isfile(self.ann_file):
            todo = "set ann_file; a relative path counts from data_root"
            if self.made_by is not None:
                command = self.made_by.format(data_root=self.data_root)
                todo = f"make it with: {command}"
            raise AnnotationError(f"there is no annotation {self.ann_file!r}; {todo}")
        if self.ann_format == "mmfusion":
            if self.ann_options:
                raise InputError(
                    f"ann_options is {self.ann_options}; expected none for ann_format"
                    " 'mmfusion', which says everything in the file"
                )
            return *load_annotation(self.ann_file, self.split), {}
        options = dict(self.ann_options)
        if options.get("label_map"):
            options["label_map"] = os.path.join(self.data_root, options["label_map"])
        metainfo, found, places = read_mmaction(
            self.ann_file,
            self.ann_format,
            split=self.split,
            num_classes=self.num_classes,
            options=options,
        )
        # arrays in memory are no part of the format, and travel beside the record
        arrays = {
            record["id"]: record.pop("skeleton_data")
            for record in found
            if "skeleton_data" in record
        }
        metainfo = check_metainfo(metainfo, self.ann_file)
        records = check_records(found, metainfo, self.ann_file, places=places)
        return metainfo, records, arrays

    def with_questions(self, split: str, questions: str) -> "MultiModalDataset":
        """Records of a split of this annotation, with these questions; no pipeline."""
        return MultiModalDataset(
            os.path.abspath(self.ann_file),
            [],
            data_root=self.data_root,
            split=split,
            test_mode=True,
            outside=self.outside,
            questions=questions,
        )

    def get_record(self, index: int) -> dict:
        """The record at ``index``, with every key of the annotation format."""
        return self._records[index]

    def digest(self) -> str:
        """Sha256 of the classes and the records; not of the files that these name."""
        return self._records.digest(json.dumps(self._metainfo["classes"]).encode())

    def files_of(self, sample_id: str) -> dict[str, str]:
        """Path by stream of the record with that id; empty if there is none."""
        for index in range(len(self)):
            record = self._records[index]
            if record["id"] == sample_id:
                return {
                    stream: os.path.join(self.data_root, path)
                    for stream, path in _files(record).items()
                    if path
                }
        return {}

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, key: SampleKey | int) -> Any:
        """The pipeline's results, or a :class:`BadSample` that ``skip`` leaves out."""
        return self._load(self._run, self._checked(key))

    def __getitems__(self, keys: Sequence[SampleKey | int]) -> list:
        """Samples for a loader, read in another process; see ``dataset[key]``."""
        run = self._run if self.clip_timeout is None else self._run_apart
        checked = [self._checked(key) for key in keys]
        if self.watch is not None:
            self.watch.note([self._records[key.index]["id"] for key in checked])
        return [self._load(run, key) for key in checked]

    def close(self) -> None:
        """End the process that reads; another starts with the next sample."""
        if self._process is not None:
            self._process.close()

    def __getstate__(self) -> dict:
        return {**self.__dict__, "watch": None, "_process": None}

    def _run_apart(self, key: SampleKey) -> Any:
        if self._process is None:
            assert self.clip_timeout is not None
            unwanted = self.watch.is_over if self.watch is not None else (lambda: False)
            self._process = ClipProcess(self._run, self.clip_timeout, unwanted)
        try:
            return self._process(key)
        except (ClipLostError, LostProcessError) as error:
            record = self._records[key.index]
            files = ", ".join(path for path in _files(record).values() if path)
            raise type(error)(f"sample {record['id']!r} ({files}): {error}") from None

    def _load_or_name(self, run: Callable[[SampleKey], Any], key: SampleKey) -> Any:
        """Run the pipeline; the error of a broken clip names the clip."""
        try:
            return run(key)
        except BROKEN_CLIP_ERRORS as error:
            name = repr(self._records[key.index]["id"])
            if isinstance(error, MediaError) and name in str(error):
                raise
            kind = type(error) if isinstance(error, MediaError) else MediaError
            raise kind(f"sample {name}: {error}") from error

    def _run(self, key: SampleKey) -> Any:
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

    def _checked(self, key: SampleKey | int) -> SampleKey:
        key = key if isinstance(key, SampleKey) else SampleKey(int(key))
        if not -len(self) <= key.index < len(self):
            raise IndexError(f"index is {key.index}; the dataset has {len(self)}")
        return key._replace(index=key.index % len(self))

    def _load(self, run: Callable[[SampleKey], Any], key: SampleKey) -> Any:
        if self.on_error.policy == "raise":
            return self._load_or_name(run, key)
        bad: list[BadSample] = []
        index = key.index
        for attempt in range(self.on_error.max_tries + 1):
            try:
                sample = run(key._replace(index=index))
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
        for stream, path in _files(results).items():
            results[f"{stream}_path"] = path and resolve_inside(
                self.data_root,
                path,
                what=f"{stream} of record {name!r} in {self.ann_file}",
                link_roots=self.link_roots,
            )
        results["path_roots"] = (self.data_root, *self.link_roots)
        results["sample_id"], results["outside"] = name, self.outside
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
                    f" {sorted(classes)}, the tasks in {self.ann_file}"
                )
            if count != len(classes[task]):
                raise InputError(
                    f"num_classes is {count} for {task!r} but {self.ann_file} lists"
                    f" {len(classes[task])} classes; set num_classes, and the head's,"
                    f" to {len(classes[task])}"
                )


def _files(record: Mapping) -> dict[str, str | None]:
    """The relative path by stream, None for a stream that a record lacks."""
    return {
        "video": record["video"],
        "frame_dir": record["frame_dir"],
        "skeleton": (record["skeleton"] or {}).get("file"),
        "boxes": (record["boxes"] or {}).get("file"),
    }
