"""H2O (Kwon et al., ICCV 2021), straight from its published layout."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmfusion.datasets.conversion import relative_to
from mmfusion.datasets.multimodal_dataset import MultiModalDataset
from mmfusion.layouts import h2o
from mmfusion.registry import DATASETS
from mmfusion.utils.errors import FrameFolderError, SkeletonError


@DATASETS.register_module()
class H2ODataset(MultiModalDataset):
    """H2O's egocentric clips: images of the head camera and two hands of 21 joints.

    Reads the action files and lists the image folders itself; only the hands come from
    the caches that ``tools/data/h2o/prepare.py`` makes once, since reading a text file
    for each frame is slow. Frames count from 0, 30 a second, ends included. The labels
    of the test split are hidden: use ``test_mode=True`` and
    ``tools/data/h2o/write_answer.py``.

    Args:
        pipeline: configs of transforms, applied in turn.
        data_root: the folder with the subjects and the action files.
        split: ``train``, ``val`` or ``test``.
        cache_dir: where the skeleton caches are, relative to data_root; None leaves
            the hands out.
        frames: ``rgb256``, ``rgb``, or ``auto``: the small images where there are any.
        require: see :class:`MultiModalDataset`, as all arguments below.

    Example:
        >>> H2ODataset([], data_root="data/h2o", split="val")  # doctest: +SKIP
    """

    def __init__(
        self,
        pipeline: Sequence[Mapping],
        *,
        data_root: str,
        split: str,
        cache_dir: str | None = "mmfusion",
        frames: str = "auto",
        require: Sequence[str] = (),
        test_mode: bool = False,
        on_error: Mapping | None = None,
        num_classes: Mapping[str, int] | None = None,
        indices: int | Sequence[int] | None = None,
        link_roots: Sequence[str] = (),
    ) -> None:
        self.cache_dir = cache_dir
        self.frames = frames
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
        """The clips of the split, from the action file and the folders."""
        root = Path(os.path.abspath(self.data_root))
        clips = h2o.read_action_file(h2o.find_action_file(root, str(self.split)))
        sequences = self._scan(root, sorted({clip.sequence for clip in clips}))
        records = []
        for clip in clips:
            sequence = sequences[clip.sequence]
            images = sequence.frames
            record = h2o.make_record(
                clip,
                str(self.split),
                sequence,
                frame_dir=relative_to(root, images.folder) if images else None,
                skeleton_file=self._skeleton_file(sequence),
            )
            if record is None:
                raise FrameFolderError(
                    str(images.folder if images else root),
                    f"no frame of clip {clip.sequence}#{clip.row}, {clip.start} to"
                    f" {clip.end}, exists",
                )
            records.append(record)
        return h2o.METAINFO, records

    def _scan(self, root: Path, names: Sequence[str]) -> dict[str, h2o.H2OSequence]:
        """List every sequence, and report all that lack something at once."""
        found, missing = {}, []
        for name in names:
            try:
                found[name] = h2o.scan_sequence(root, name, self.frames)
            except FileNotFoundError as error:
                missing.append(str(error))
                continue
            poses = found[name].poses
            if found[name].frames is None and poses is not None and not self.cache_dir:
                camera = poses.folder.parent
                missing.append(
                    f"{name}: {camera} has no images (rgb256/ or rgb/), and cache_dir"
                    " is None: no hands either"
                )
        if missing:
            shown = "\n  ".join(missing[:5])
            raise FrameFolderError(
                str(root),
                f"{len(missing)} of {len(names)} sequences of split {self.split!r} lack"
                " files; prepare.py makes an annotation of those that have them:\n"
                f"  {shown}",
            )
        if self.cache_dir is not None:
            self._check_caches(root, found)
        return found

    def _check_caches(self, root: Path, found: Mapping[str, h2o.H2OSequence]) -> None:
        for name, sequence in found.items():
            file = self._skeleton_file(sequence)
            if file is not None and not (root / file).is_file():
                raise SkeletonError(
                    str(root / file),
                    f"there is no skeleton cache of {name}; make them with: python"
                    f" tools/data/h2o/prepare.py --root {root} --out"
                    f" {root / str(self.cache_dir)} (or set cache_dir=None to do"
                    " without hands)",
                )

    def _skeleton_file(self, sequence: h2o.H2OSequence) -> str | None:
        if self.cache_dir is None or sequence.poses is None:
            return None
        return f"{self.cache_dir}/skeleton/{h2o.skeleton_name(sequence.name)}"
