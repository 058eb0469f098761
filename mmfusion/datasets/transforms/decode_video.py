"""Frames of a clip, from a video file or a folder of images."""

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.datasets.clip_extent import open_folder
from mmfusion.datasets.media.small_frames import kept_small, shrink
from mmfusion.datasets.media.video_chunks import ChunkedVideo
from mmfusion.datasets.media.video_io import BACKENDS, VideoReader, open_video
from mmfusion.datasets.transforms.sample_times import mark_absent, times_of
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError

MOST_SIDE = 1 << 14  # pixels


@TRANSFORMS.register_module()
class DecodeVideo(BaseTransform):
    """Read the frames at ``times['video']``.

    A record whose ``extra`` has ``chunk_seconds`` names a folder of chunks, see
    ``video_chunks.py``.

    Args:
        backend: ``auto`` is ``pyav``; ``decord`` is checked against it, hence slower.
        num_threads: threads of the decoder.
        missing_size: (height, width) of the black frames that stand for the video of a
            sample without one; None makes such a sample an error.
        scale: (width, height) to which each frame is squashed; None leaves it.
        keep: with ``scale``: make the frames of a whole video file small once, and
            read them from then on (``small_frames.py``). For clips of a data set only.

    Required keys: times; video_path or frame_dir_path, or video_data, an open reader in
    place of the file; and, where files in a folder may be links, path_roots, the
    folders to which they may lead. Added keys: those that
    MMAction2's image transforms work on, imgs (list of v t arrays (h, w, 3), uint8,
    RGB), img_shape and original_shape (h, w), modality, num_clips (v), clip_len (t);
    and, with ``missing_size`` or ``times_mask``, imgs_mask (v t,) bool, False where a
    frame lacks.
    """

    def __init__(
        self,
        backend: str = "auto",
        num_threads: int = 1,
        missing_size: tuple[int, int] | None = None,
        scale: tuple[int, int] | None = None,
        keep: bool = False,
    ) -> None:
        if backend not in BACKENDS:
            raise InputError(f"backend: got {backend!r}; expected one of {BACKENDS}")
        self.backend = backend
        self.num_threads = num_threads
        self.missing_size = missing_size
        if scale is not None and not _is_size(scale):
            raise InputError(
                f"scale: got {scale!r}; expected (width, height), whole numbers from 1"
                f" to {MOST_SIDE}"
            )
        if keep and scale is None:
            raise InputError("keep: got True without scale; expected (width, height)")
        self.scale = None if scale is None else (scale[0], scale[1])
        self.keep = keep

    def transform(self, results: dict) -> dict:
        times = times_of(results, "video")
        views, count = times.shape
        reader = self._open(results)
        if reader is None:
            black = (*self._missing_size(results), 3)
            frames = [np.zeros(black, np.uint8) for _ in range(views * count)]
        else:
            frames = reader.frames_at(times.reshape(-1))
        if self.missing_size is not None:
            results["imgs_mask"] = np.full(views * count, reader is not None)
        if "times_mask" in results:
            there = mark_absent(
                np.full(times.shape, reader is not None), results, "video"
            )
            results["imgs_mask"] = there.reshape(-1)
        results["original_shape"] = frames[0].shape[:2]
        if self.scale is not None:
            frames = [shrink(frame, self.scale) for frame in frames]
        results["imgs"] = frames
        results["img_shape"] = frames[0].shape[:2]
        results["modality"] = "RGB"
        results["num_clips"], results["clip_len"] = views, count
        return results

    def _open(self, results: dict) -> VideoReader | ChunkedVideo | None:
        reader = open_source(results, self.backend, self.num_threads)
        roots = results.get("path_roots")
        if not (self.keep and roots and self.scale and results.get("video_path")):
            return reader
        if not isinstance(reader, VideoReader) or results.get("video_data") is not None:
            return reader
        return kept_small(reader, self.scale, roots[0]) or reader

    def _missing_size(self, results: dict) -> tuple[int, int]:
        if self.missing_size is None:
            raise InputError(
                f"sample {results.get('sample_id')!r} has no video; expected one: drop"
                " such samples by the dataset's require=['video'], or set missing_size"
            )
        return self.missing_size


def _is_size(scale: object) -> bool:
    return (
        isinstance(scale, tuple | list)
        and len(scale) == 2
        and all(type(side) is int and 1 <= side <= MOST_SIDE for side in scale)
    )


def open_source(
    results: dict, backend: str = "auto", num_threads: int = 1
) -> VideoReader | ChunkedVideo | None:
    """A reader of a sample's frames, or None where it has no video.

    Args:
        results: see ``DecodeVideo``. backend, num_threads: of the decoder.
    """
    if results.get("video_data") is not None:
        return results["video_data"]
    chunk = (results.get("extra") or {}).get("chunk_seconds")
    if results.get("video_path") and chunk:
        return ChunkedVideo(
            results["video_path"],
            chunk,
            backend,
            num_threads,
            results.get("path_roots"),
        )
    if results.get("video_path"):
        return open_video(results["video_path"], backend, num_threads)
    if not results.get("frame_dir_path"):
        return None
    return open_folder(results)
