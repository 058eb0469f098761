"""A clip as a strip of frames with its hands drawn, and the way that they went."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from mmfusion.datasets.multimodal_dataset import MultiModalDataset
from mmfusion.layouts.hand_layouts import OPENPOSE21, layout_of
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.errors import MMFusionError
from mmfusion.visualization import draw_hands, draw_paths
from mmfusion.visualization.report import picture_uri

NUM_FRAMES = 5
_HEIGHT = 150  # pixels of a frame in the strip
_WIDEST = 230  # of a frame, too
_PER_FRAME = 9  # joints read for each frame, odd: one of them is at the frame's time
_DARK = 28  # grey behind skeletons without a video


class ClipStrips:
    """Strips of the clips of a dataset.

    Where joints have a place in the picture, each frame also shows the path of each
    hand up to it, broken where it was not seen: what a gesture drew, and what the
    finder of the hands missed of it.

    Args:
        dataset: its pipeline is replaced.
        num_frames: of a strip.
    """

    def __init__(
        self, dataset: MultiModalDataset, num_frames: int = NUM_FRAMES
    ) -> None:
        self._dataset = dataset
        self._num_frames = num_frames
        self._places = {
            dataset.get_record(index)["id"]: index for index in range(len(dataset))
        }
        self._skeleton = dataset.metainfo.get("skeleton") or {}
        self._layout = layout_of(self._skeleton) or OPENPOSE21
        self._made: dict[str, tuple[str | None, str]] = {}

    def strip(self, name: str) -> tuple[str | None, str]:
        """Data URI of a clip's strip and a note; None with the reason in the note."""
        if name not in self._made:
            try:
                self._made[name] = picture_uri(self.frames(name)), ""
            except (MMFusionError, OSError) as error:
                reason = str(error).splitlines()[0]
                self._made[name] = None, f"no picture: {reason:.160}"
        return self._made[name]

    def frames(self, name: str) -> list[np.ndarray]:
        """Pictures (h, w, 3) uint8 RGB of a clip, with what can be drawn on them.

        Skeletons that are in no place of the picture, as metres without a camera, come
        behind the frames as pictures of their own.

        Raises:
            MMFusionError: it cannot be read, or nothing of it can be seen.
        """
        if name not in self._places:
            raise MMFusionError("the clip is not in the test set of this run's config")
        index = self._places[name]
        record = self._dataset.get_record(index)
        has_video = bool(record["video"] or record["frame_dir"])
        results = self._read(index, record, has_video)
        if results.get("joints") is None:
            if not has_video:
                raise MMFusionError("the clip has neither video nor skeleton")
            return self._frames(results["imgs"], None, None)
        (joints,), (mask,) = results["joints"], results["joints_mask"]
        if not has_video:
            return self._skeletons(joints, mask)
        images, place = results["imgs"], results["joints_frame"]
        if place == "pixels":
            joints = joints / np.array([*images[0].shape[1::-1], 1.0])
        elif place != "image":
            apart = self._skeletons(joints, mask) if mask.any() else []
            return self._frames(images, None, None) + apart
        return self._frames(images, joints, mask)

    def _read(
        self, index: int, record: Mapping[str, Any], has_video: bool
    ) -> dict[str, Any]:
        counts, pipeline = {}, []
        if has_video:
            counts["video"] = self._num_frames
            pipeline.append({"type": "DecodeVideo"})
        if record["skeleton"]:
            counts["skeleton"] = self._num_frames * _PER_FRAME
            pipeline.append({"type": "LoadSkeleton"})
            in_camera = self._skeleton.get("frame", "camera") == "camera"
            if has_video and in_camera and record["camera"]:
                pipeline.append({"type": "ProjectSkeleton"})
        times = {"type": "SampleTimes", "num_frames": counts, "mode": "uniform"}
        steps = [TRANSFORMS.build(step) for step in (times, *pipeline)]
        own, self._dataset.pipeline = self._dataset.pipeline, steps
        try:
            return self._dataset[index]
        finally:
            self._dataset.pipeline = own

    def _frames(
        self, images: list[np.ndarray], joints: np.ndarray | None, mask: Any
    ) -> list[np.ndarray]:
        """Frames of the strip's height.

        Args:
            images: t of them. joints: (9 t, h, j, 3) in fractions of them. mask:
                (9 t, h, j) bool.
        """
        height, width = images[0].shape[:2]
        scale = min(_HEIGHT / height, _WIDEST / width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        drawn = []
        for place, image in enumerate(images):
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            if joints is not None:
                now = place * _PER_FRAME + _PER_FRAME // 2
                pixels = joints[: now + 1, ..., :2] * np.array(size)
                small = draw_paths(small, pixels, mask[: now + 1])
                small = draw_hands(small, pixels[now], mask[now], self._layout)
            drawn.append(small)
        return drawn

    def _skeletons(self, joints: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
        """The skeletons alone, all frames at one scale; joints (9 t, h, j, 3)."""
        joints, mask = (each[_PER_FRAME // 2 :: _PER_FRAME] for each in (joints, mask))
        xy = joints[..., :2].astype(np.float64)
        seen = mask if mask.ndim == 3 else np.repeat(mask[..., None], xy.shape[2], 2)
        if not seen.any():
            raise MMFusionError("no joint of the clip is seen")
        low, high = xy[seen].min(axis=0), xy[seen].max(axis=0)
        scale = 0.84 * _HEIGHT / max(float((high - low).max()), 1e-9)
        pixels = (xy - (low + high) / 2) * scale + _HEIGHT / 2
        empty = np.full((_HEIGHT, _HEIGHT, 3), _DARK, np.uint8)
        return [
            draw_hands(empty, pixels[place], seen[place], self._layout)
            for place in range(len(pixels))
        ]
