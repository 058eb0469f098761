"""Joints of a clip that has a video and no skeleton file."""

from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.datasets.transforms.decode_video import open_source
from mmfusion.datasets.transforms.load_skeleton import take_joints
from mmfusion.datasets.transforms.sample_times import times_of
from mmfusion.hands.mediapipe_hands import MediaPipeHands
from mmfusion.hands.tracks import ONE_HAND_SKELETON, SKELETON, HandExtractor
from mmfusion.layouts.skeleton_arrays import SkeletonFile
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import InputError


@TRANSFORMS.register_module()
class ExtractHands(BaseTransform):
    """Find the hands in the frames at ``times['skeleton']``; stands for LoadSkeleton.

    For single clips: some 20 ms of CPU a frame. To train, write the hands once by
    ``tools/data/hands/extract.py``. A hand that is not seen keeps its place as with
    ``LoadSkeleton``.

    Args:
        models, max_hands, one_hand, min_score, mirrored: of
            :class:`mmfusion.hands.MediaPipeHands`.
        extractor: another source of hands in its place.

    Required keys: times; a video, as for ``DecodeVideo``. Added keys: joints (v, n, h,
    21, 3) float32 in fractions of the picture, joints_mask (v, n, h, 21) bool,
    joints_frame, joints_layout, joints_hands, num_hands (h, 2 or 1).
    """

    def __init__(
        self,
        models: str | Path | None = None,
        max_hands: int = 2,
        one_hand: bool = False,
        min_score: float = 0.3,
        mirrored: bool = False,
        extractor: HandExtractor | None = None,
    ) -> None:
        self.models = models
        self.max_hands = max_hands
        self.one_hand = one_hand
        self.min_score = min_score
        self.mirrored = mirrored
        self._extractor = extractor

    def transform(self, results: dict) -> dict:
        times = times_of(results, "skeleton")  # (v, n) seconds
        reader = open_source(results)
        if reader is None:
            raise InputError(
                f"sample {results.get('sample_id')!r} has no video; expected one, in"
                " which ExtractHands finds hands"
            )
        moments, place = np.unique(times, return_inverse=True)
        tracks = self._find_hands()(reader.frames_at(moments))
        tracks = tracks.as_one_hand() if self.one_hand else tracks
        rows = np.arange(len(moments))
        found = SkeletonFile(tracks.keypoint, tracks.valid, rows, None, None)
        joints, mask = take_joints(found, place.reshape(-1) + 0.5, rows, max_gap=1.0)
        shape = (*times.shape, *mask.shape[1:])
        results["joints"] = joints.reshape(*shape, 3)
        results["joints_mask"] = mask.reshape(shape)
        skeleton = ONE_HAND_SKELETON if self.one_hand else SKELETON
        results["joints_frame"] = skeleton["frame"]
        results["joints_layout"] = skeleton["layout"]
        results["joints_hands"] = list(skeleton["hands"])
        results["num_hands"] = len(skeleton["hands"])
        return results

    def _find_hands(self) -> HandExtractor:
        """The extractor, made in the process that uses it."""
        if self._extractor is None:
            self._extractor = MediaPipeHands(
                self.models,
                max_hands=self.max_hands,
                one_hand=self.one_hand,
                min_score=self.min_score,
                mirrored=self.mirrored,
            )
        return self._extractor
