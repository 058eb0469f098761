"""OakInk2 (Zhan et al., CVPR 2024), straight from its published layout."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmfusion.datasets.multimodal_dataset import MultiModalDataset
from mmfusion.layouts import oakink2
from mmfusion.registry import DATASETS


@DATASETS.register_module()
class OakInk2Dataset(MultiModalDataset):
    """OakInk2's egocentric primitives: what both hands do, named by one of the classes.

    Reads splits and programs itself. What its pickles hold (the egocentric camera, and
    hands made from MANO parameters) comes from the caches that
    ``tools/data/oakink2/prepare.py`` makes once, and so does the list of classes.
    Frames count 120 a second; the dataset has no official recognition split: those here
    are by sequence, of OakInk2-TaMF.

    Args:
        pipeline: configs of transforms, applied in turn.
        data_root: the folder with ``data``, ``program`` and ``split``.
        split: ``train``, ``val`` or ``test``.
        cache_dir: where the caches and the list of classes are, relative to data_root.
        require: see :class:`MultiModalDataset`, as all arguments below.

    Example:
        >>> OakInk2Dataset([], data_root="data/oakink2", split="val")  # doctest: +SKIP
    """

    def __init__(
        self,
        pipeline: Sequence[Mapping],
        *,
        data_root: str,
        split: str,
        cache_dir: str = "mmfusion",
        require: Sequence[str] = (),
        test_mode: bool = False,
        on_error: Mapping | None = None,
        num_classes: Mapping[str, int] | None = None,
        indices: int | Sequence[int] | None = None,
        link_roots: Sequence[str] = (),
    ) -> None:
        self.cache_dir = cache_dir
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
        """The primitives of the split that are of one of the classes."""
        root = Path(os.path.abspath(self.data_root))
        split = str(self.split)
        sequences = oakink2.read_split(root, split)
        cache = root / self.cache_dir
        class_file = cache / oakink2.CLASS_FILE
        if not class_file.is_file():
            raise FileNotFoundError(
                f"{class_file} is missing; make it and the caches with: python"
                f" tools/data/oakink2/prepare.py --root {root} --out {cache}"
            )
        classes = oakink2.read_class_list(class_file)
        targets = oakink2.read_task_targets(root / "program")
        records = []
        for sequence in sequences:
            view = oakink2.read_view(oakink2.view_path(cache, sequence))
            if view is None:  # the converter had no use for it, and said so
                continue
            skeleton = oakink2.skeleton_path(cache, sequence)
            file = skeleton.relative_to(root).as_posix() if skeleton.is_file() else None
            for primitive in oakink2.read_program(root / "program", sequence):
                if primitive.name not in classes:
                    continue
                record = oakink2.make_record(
                    primitive,
                    split,
                    view,
                    classes=classes,
                    skeleton_file=file,
                    target=targets.get(sequence),
                )
                if record is not None:
                    records.append(record)
        return oakink2.metainfo(classes), records
