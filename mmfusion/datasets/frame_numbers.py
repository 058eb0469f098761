"""Frame folders whose files count from another number than the records say."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmfusion.utils.errors import AnnotationError
from mmfusion.utils.paths import UnsafePathError, resolve_inside

_LOOKED_AT = 16  # folders: a list that is off by one is so everywhere


def check_first_files(
    records: Sequence[Mapping[str, Any]],
    data_root: str,
    link_roots: Sequence[str],
    source: str,
) -> None:
    """Refuse a ``start_index`` that the files contradict.

    Files 0 to 29 that are read as 1 to 30 give every frame one late, and no error until
    the last is drawn. A few folders are looked at, from the first to the last; those
    that are missing are left to the reader.

    Args:
        records: with every key of the annotation format.
        data_root, link_roots: see ``MultiModalDataset``.
        source: name of the annotation, for errors.

    Raises:
        AnnotationError: names the record, the files and the right ``start_index``.
    """
    folders: dict[tuple[str, int], Mapping[str, Any]] = {}
    for record in records:
        if record["frame_dir"] is not None and record["frame_ids"] is None:
            place = record["frame_dir"], record["start_index"]
            folders.setdefault(place, record)
    every = list(folders.values())
    for record in every[:: -(-len(every) // _LOOKED_AT) or 1]:
        try:
            folder = resolve_inside(
                data_root, record["frame_dir"], link_roots=link_roots
            )
        except UnsafePathError:
            continue  # told, with the record's name, when it is drawn
        right = _first_file(folder, record)
        if right != record["start_index"]:
            name = record["filename_tmpl"].format(right)
            raise AnnotationError(
                f"{source}: record {record['id']!r}: start_index is"
                f" {record['start_index']}, but the files in {folder!r} begin with"
                f" {name!r}, so that every frame would be another one; set start_index"
                f" to {right} (of a list: ann_options.start_index)"
            )


def _first_file(folder: str, record: Mapping[str, Any]) -> int:
    """Number of the first file: the record's, or a neighbour where that fits better."""
    start, total = record["start_index"], record["total_frames"]

    def there(number: int) -> bool:
        name = record["filename_tmpl"].format(number)
        return os.path.exists(os.path.join(folder, name))

    if start > 0 and there(start - 1):
        if total is None:
            return 0 if start == 1 else start
        return start if there(start + total - 1) else start - 1
    if not there(start) and there(start + 1):
        if total is None:
            return 1 if start == 0 else start
        return start + 1 if there(start + total) else start
    return start
