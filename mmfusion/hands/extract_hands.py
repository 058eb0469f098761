"""Joints of a clip that has a video and no skeleton file."""

from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.datasets.media.video_io import open_video
from mmfusion.datasets.transforms.load_skeleton import LoadSkeleton
from mmfusion.datasets.transforms.sample_times import times_of
from mmfusion.hands.mediapipe_hands import MediaPipeHands
from mmfusion.hands.tracks import SKELETON, HandExtractor
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError


@TRANSFORMS.register_module()
class ExtractHands(BaseTransform):
    """Find the hands in the frames at ``times['skeleton']``; stands for LoadSkeleton.

    For single clips: some 20 ms of CPU a frame. To train, write the hands once by
    ``tools/data/hands/extract.py``.

    Args:
        models, max_hands, min_score, mirrored: of
            :class:`mmfusion.hands.MediaPipeHands`.
        extractor: another source of hands in its place.

    Required keys: times, video_path. Added keys: those of ``LoadSkeleton``, of two
    hands in fractions of the picture.
    """

    def __init__(
        self,
        models: str | Path | None = None,
        max_hands: int = 2,
        min_score: float = 0.3,
        mirrored: bool = False,
        extractor: HandExtractor | None = None,
    ) -> None:
        self.models = models
        self.max_hands = max_hands
        self.min_score = min_score
        self.mirrored = mirrored
        self._extractor = extractor
        self._take = LoadSkeleton()

    def transform(self, results: dict) -> dict:
        if not results.get("video_path"):
            raise InputError(
                f"sample {results.get('sample_id')!r} has no video; ExtractHands finds"
                " hands in one"
            )
        times = times_of(results, "skeleton")  # (v, n) seconds
        reader = open_video(results["video_path"])
        index = np.unique(reader.index_at(times))
        tracks = self._find_hands()(reader.frames_at_index(index))
        frame_id = np.rint(reader.times[index] * reader.fps).astype(np.int64)
        frame_id, rows = np.unique(frame_id, return_index=True)
        found = dict(
            keypoint=tracks.keypoint[rows],
            valid=tracks.valid[rows],
            frame_id=frame_id,
            fps=reader.fps,
        )
        keys = dict(skeleton_data=found, index_fps=reader.fps, group=None)
        meta = {**(results.get("ann_meta") or {}), "skeleton": SKELETON}
        taken = self._take({**results, **keys, "ann_meta": meta})
        results.update(
            {
                key: value
                for key, value in taken.items()
                if key not in (*keys, "ann_meta")
            }
        )
        return results

    def _find_hands(self) -> HandExtractor:
        """The extractor, made where it is used: it does not survive a fork."""
        if self._extractor is None:
            self._extractor = MediaPipeHands(
                self.models,
                max_hands=self.max_hands,
                min_score=self.min_score,
                mirrored=self.mirrored,
            )
        return self._extractor
