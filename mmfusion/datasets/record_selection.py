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
        kept = [record for record in records if _has(record, stream)]
        records = _told(records, kept, source, f"dropped by require={[stream]}")
    return records


def _has(record: Mapping, stream: str) -> bool:
    return any(record[key] is not None for key in STREAMS[stream])


def tell_missing(records: Sequence[Mapping], source: str) -> None:
    """Log how many records lack a stream that others have; they are used so."""
    for stream in STREAMS:
        having = sum(_has(record, stream) for record in records)
        if 0 < having < len(records):
            print_log(
                f"{len(records) - having} of {len(records)} records of {source} have no"
                f" {stream}, and are used without it",
                logger="current",
            )


def kept_by_pipeline(
    records: list[dict], pipeline: Iterable[Any], source: str
) -> list[dict]:
    """Records that each :class:`RecordFilter` of the pipeline keeps."""
    for transform in pipeline:
        if isinstance(transform, RecordFilter):
            kept = [record for record in records if transform.keeps(record)]
            name = type(transform).__name__
            records = _told(records, kept, source, f"dropped by {name}")
    return records


def _told(before: list[dict], kept: list[dict], source: str, why: str) -> list[dict]:
    """The records ``kept``, after the log or, where none is, an error has told why."""
    counts = f"{len(before) - len(kept)} of {len(before)} records of {source} {why}"
    if not kept:
        raise InputError(f"{counts}; expected one at least to remain")
    if len(kept) < len(before):
        print_log(counts, logger="current")
    return kept


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


def without_labels(
    records: list[dict], labelled: int | Sequence[int] | None, source: str
) -> list[dict]:
    """Records of which only those that :func:`subset` would keep have labels."""
    if labelled is None:
        return records
    kept = {record["id"] for record in subset(records, labelled)}
    print_log(
        f"{len(records) - len(kept)} of {len(records)} records of {source} are used"
        " without their labels",
        logger="current",
    )
    return [
        record if record["id"] in kept else {**record, "label": {}}
        for record in records
    ]


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
