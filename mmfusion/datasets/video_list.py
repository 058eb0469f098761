"""Something-Something V2, Kinetics and any other list of videos with one label each."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmfusion.datasets.multimodal_dataset import MultiModalDataset
from mmfusion.layouts import video_lists as lists
from mmfusion.registry import DATASETS
from mmfusion.utils.errors import AnnotationError, InputError

TASK = "action"


@DATASETS.register_module()
class VideoListDataset(MultiModalDataset):
    """Whole videos with one label each, from the list that people have of them.

    Args:
        pipeline: configs of transforms, applied in turn.
        list_file: the list of one split, relative to data_root.
        layout: ``path_label`` (VideoMamba's ``train.csv``), ``ssv2`` (the official
            JSON) or ``kinetics`` (the official csv); see ``layouts/video_lists.py``.
        data_root: folder that holds every file.
        split: name of the list's split; of a Kinetics list with several splits, those
            rows are kept.
        class_file: names of the classes in the order of their numbers: a line each, or
            Something-Something's ``labels.json``; relative to data_root. None takes
            numbers as names where the list has numbers, and the list's own names in
            alphabetical order where it has names: right for a list that has them all.
        prefix: folder of the videos, relative to data_root.
        video_name: name of a video, made of ``{path}``, of ``{id}``, or of ``{label}``,
            ``{youtube_id}``, ``{time_start:06d}`` and ``{time_end:06d}``; None is the
            layout's own. ``"{id}.mp4"`` after re-encoding.
        separator: of ``path_label``; None finds out whether it is a comma or a blank.
        drop_missing: leave out the videos that are not there, and log how many, as
            Kinetics is a little smaller wherever it is fetched.
        require: see :class:`MultiModalDataset`, as all arguments below.

    Example:
        >>> VideoListDataset(  # doctest: +SKIP
        ...     [], "train.csv", data_root="data/ssv2", prefix="videos", split="train"
        ... )
    """

    def __init__(
        self,
        pipeline: Sequence[Mapping],
        list_file: str,
        *,
        data_root: str,
        split: str,
        layout: str = "path_label",
        class_file: str | None = None,
        prefix: str = "",
        video_name: str | None = None,
        separator: str | None = None,
        drop_missing: bool = False,
        require: Sequence[str] = (),
        test_mode: bool = False,
        on_error: Mapping | None = None,
        num_classes: Mapping[str, int] | None = None,
        indices: int | Sequence[int] | None = None,
        link_roots: Sequence[str] = (),
    ) -> None:
        if layout not in lists.LAYOUTS:
            raise InputError(f"layout is {layout!r}; expected one of {lists.LAYOUTS}")
        if separator is not None and (layout != "path_label" or not separator):
            raise InputError(
                f"separator is {separator!r} for the layout {layout!r}; expected None,"
                " or some text for path_label"
            )
        self.list_file = list_file
        self.layout = layout
        self.class_file = class_file
        self.prefix = prefix.rstrip("/")
        self.video_name = video_name or lists.VIDEO_NAMES[layout]
        self.separator = separator
        self.drop_missing = drop_missing
        super().__init__(
            "",
            pipeline,
            data_root=data_root,
            split=split,
            require=require,
            test_mode=test_mode,
            on_error=on_error,
            num_classes=num_classes,
            indices=indices,
            link_roots=link_roots,
        )

    def load_records(self) -> tuple[dict, list[dict]]:
        """The list's videos in its order."""
        root = Path(os.path.abspath(self.data_root))
        path = root / self.list_file
        rows = lists.read_rows(path, self.layout, self.separator)
        names = self._class_names(root, rows)
        numbers = lists.class_numbers(rows, names, self.class_file or str(path))
        splits = Counter(row.split for row in rows)
        if len(splits) > 1:
            kept = [place for place, row in enumerate(rows) if row.split == self.split]
            if not kept:
                raise AnnotationError(
                    f"{path} has no row of the split {self.split!r}; expected one of"
                    f" {dict(splits)}"
                )
            rows, numbers = [rows[i] for i in kept], [numbers[i] for i in kept]
        _check_unique(rows)
        records = [
            self._record(row, number) for row, number in zip(rows, numbers, strict=True)
        ]
        if self.drop_missing:
            records = self._present(root, records)
        metainfo = {
            "version": 1,
            "dataset": self.layout,
            "classes": {TASK: names} if names else {},
        }
        return metainfo, records

    def _class_names(self, root: Path, rows: Sequence[lists.VideoRow]) -> list[str]:
        if self.class_file is not None:
            return lists.read_class_names(root / self.class_file)
        found = {row.label for row in rows if row.label is not None}
        named = sorted(label for label in found if isinstance(label, str))
        if named:
            return named
        count = self.num_classes.get(TASK)
        if count is None:
            count = max((int(label) for label in found), default=-1) + 1
        return [str(number) for number in range(count)]

    def _record(self, row: lists.VideoRow, number: int | None) -> dict[str, Any]:
        name = lists.video_name(row, self.video_name)
        return {
            "id": row.name,
            "group": row.name,
            "split": self.split,
            "video": f"{self.prefix}/{name}" if self.prefix else name,
            "start_sec": 0.0,
            "end_sec": None,
            "label": {} if number is None else {TASK: number},
        }

    def _present(self, root: Path, records: list[dict]) -> list[dict]:
        kept = [item for item in records if (root / item["video"]).is_file()]
        if not kept:
            raise AnnotationError(
                f"{root / self.list_file}: none of its {len(records)} videos is there,"
                f" as {root / records[0]['video']}; set prefix and video_name"
            )
        print_log(
            f"{root / self.list_file}: {len(kept)} of {len(records)} videos are there",
            logger="current",
        )
        return kept


def _check_unique(rows: Sequence[lists.VideoRow]) -> None:
    seen: dict[str, str] = {}
    for row in rows:
        if row.name in seen:
            raise AnnotationError(
                f"{row.place}: {row.name!r} stands in {seen[row.name]} too; expected"
                " each video once"
            )
        seen[row.name] = row.place
