"""The records of an annotation that a dataset uses; every loss is told or raised."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmengine.logging import print_log

from mmfusion.datasets.transforms.base import RecordFilter
from mmfusion.utils.errors import InputError

# stream -> the keys of a record that hold it
STREAMS = {
    "video": ("video", "frame_dir"),
    "skeleton": ("skeleton",),
    "boxes": ("boxes",),
    "text": ("text",),
}


def with_streams(
    records: list[dict], require: Sequence[str], source: str
) -> list[dict]:
    """Records that have each of the streams ``require``, keys of STREAMS."""
    for stream in require:
        if stream not in STREAMS:
            raise InputError(
                f"require has {stream!r}; expected some of {tuple(STREAMS)}"
            )
        keys = STREAMS[stream]
        kept = [item for item in records if any(item[key] is not None for key in keys)]
        if not kept:
            raise InputError(
                f"require has {stream!r}, but no record of {source} has it"
            )
        _tell(records, kept, source, f"dropped for lack of {stream}")
        records = kept
    return records


def kept_by_pipeline(
    records: list[dict], pipeline: Iterable[Any], source: str
) -> list[dict]:
    """Records that each :class:`RecordFilter` of the pipeline keeps."""
    for transform in pipeline:
        if not isinstance(transform, RecordFilter):
            continue
        kept = [record for record in records if transform.keeps(record)]
        name = type(transform).__name__
        if not kept:
            raise InputError(
                f"{len(records)} of {len(records)} records of {source} dropped by"
                f" {name}; expected one at least to remain"
            )
        _tell(records, kept, source, f"dropped by {name}")
        records = kept
    return records


def _tell(before: Sequence, after: Sequence, source: str, why: str) -> None:
    if len(after) < len(before):
        counts = f"{len(before) - len(after)} of {len(before)} records"
        print_log(f"{counts} of {source} {why}", logger="current")


def subset(records: list[dict], indices: int | Sequence[int] | None) -> list[dict]:
    """The first so many records, or those at the given places; None keeps all."""
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


def check_labels(records: Sequence[Mapping], tasks: Iterable[str], source: str) -> None:
    """Refuse records without a label of one of ``tasks``, which training needs."""
    for task in tasks:
        lacking = [item["id"] for item in records if task not in item["label"]]
        if lacking:
            raise InputError(
                f"{len(lacking)} of {len(records)} records of {source} have no label"
                f" for {task!r}, as {lacking[:3]}; expected one for each, or"
                " test_mode=True"
            )
