"""The overlay video of a prediction."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from mmfusion.apis.hands_of import rate_of
from mmfusion.apis.predictions import VideoPrediction
from mmfusion.apis.sources import Clip
from mmfusion.datasets.caches.skeleton_cache import load_skeleton_file
from mmfusion.datasets.clip_extent import open_folder
from mmfusion.datasets.media.index_cache import read_index
from mmfusion.datasets.media.sequential_video import SequentialVideo
from mmfusion.datasets.media.video_reader import VideoReader
from mmfusion.datasets.transforms.load_skeleton import MAX_GAP_SECONDS, take_joints
from mmfusion.layouts.camera import project
from mmfusion.layouts.hand_layouts import layout_of
from mmfusion.layouts.skeleton_arrays import SkeletonFile, SkeletonKind, check_skeleton
from mmfusion.utils.errors import InputError
from mmfusion.visualization.clip_video import write_clip_video
from mmfusion.visualization.hands import draw_hands
from mmfusion.visualization.overlay import Overlay, Story

MAX_FPS = 30.0  # of the written video


def write_overlay(
    path: str | os.PathLike,
    prediction: VideoPrediction,
    *,
    task: str | None = None,
    fps: float | None = None,
) -> None:
    """Write a video with hands, the best five classes, a timeline and the weights.

    Args:
        path: the mp4 to write.
        prediction: of :meth:`Inferencer.predict`.
        task: whose classes are shown; ``action``, else the first, if None.
        fps: pictures a second as written; those of the clip, at most 30, if None, which
            is true to life.

    Raises:
        InputError: the clip has no pictures, or the task is none of the model's.
    """
    frames = overlay_frames(prediction, task=task)
    rate = _shown_rate(_open(_clip_of(prediction))) if fps is None else fps
    write_clip_video(path, frames, rate)


def overlay_frames(
    prediction: VideoPrediction, *, task: str | None = None
) -> Iterator[np.ndarray]:
    """The pictures of :func:`write_overlay`, one at a time, (H, W, 3) uint8 RGB."""
    task, clip = shown_task(prediction, task), _clip_of(prediction)
    reader = _open(clip)
    rate = _shown_rate(reader)
    count = max(1, round((clip.end - clip.start) * rate))
    times = clip.start + (np.arange(count) + 0.5) / rate  # (t,) seconds
    drawn = _Hands.of(clip, times)
    names = drawn.names if drawn is not None else ()
    index = reader.index_at(np.minimum(times, clip.end))
    overlay: Overlay | None = None
    for number, seconds in enumerate(times.tolist()):
        (frame,) = reader.frames_at_index(index[number : number + 1])
        if overlay is None:
            story = story_of(prediction, task, names, clip)
            overlay = Overlay(story, frame.shape[:2])
        picture = overlay.enlarge(frame)
        if drawn is not None:
            picture = drawn.draw(picture, number)
        yield overlay.draw(picture, seconds)


def shown_task(prediction: VideoPrediction, task: str | None) -> str:
    """The task whose classes are shown."""
    tasks = list(prediction.scores)
    if task is None:
        return "action" if "action" in tasks else tasks[0]
    if task not in tasks:
        raise InputError(f"task is {task!r}; the model predicts {tasks}")
    return task


def story_of(
    prediction: VideoPrediction, task: str, hands: tuple[str, ...], clip: Clip
) -> Story:
    """Contents of an overlay beside the picture."""
    names = prediction.classes[task]
    label = (clip.record.get("label") or {}).get(task)
    note = prediction.note or (prediction.hands or {}).get("note")
    return Story(
        prediction.name if clip.from_dataset else os.path.basename(prediction.name),
        names,
        np.array([(span.start, span.end) for span in prediction.spans]),
        prediction.scores[task],
        prediction.start,
        prediction.end,
        prediction.weights,
        hands,
        None if label is None else names[label],
        prediction.ahead,
        note,
    )


def _clip_of(prediction: VideoPrediction) -> Clip:
    assert prediction.clip is not None  # the Inferencer leaves it there
    return prediction.clip


def _open(clip: Clip) -> VideoReader:
    if clip.array is not None:
        return clip.array
    if clip.path is not None:
        return SequentialVideo(read_index(clip.path))
    if clip.record.get("frame_dir_path"):
        return open_folder(clip.record)
    raise InputError(f"{clip.name} has no pictures; expected some to draw on")


def _shown_rate(reader: VideoReader) -> float:
    return min(reader.fps, MAX_FPS)


class _Hands:
    """Hands of a clip at given times, in fractions of the picture.

    Args:
        joints: (t, h, j, 2). valid: (t, h, j) bool. skeleton: their kind.
    """

    def __init__(self, joints: np.ndarray, valid: np.ndarray, skeleton: Any) -> None:
        self.joints, self.valid = joints, valid
        layout = layout_of(skeleton)
        assert layout is not None
        self.layout = layout
        self.names = tuple(skeleton.get("hands") or ())

    @classmethod
    def of(cls, clip: Clip, times: np.ndarray) -> "_Hands | None":
        """Hands of a clip at ``times`` (t,); None where they cannot be drawn."""
        skeleton = (clip.record.get("ann_meta") or {}).get("skeleton") or {}
        data = _data_of(clip, SkeletonKind.of(skeleton))
        if data is None or not data.valid.any() or layout_of(skeleton) is None:
            return None
        rate = float(clip.record.get("index_fps") or data.fps or rate_of(clip))
        every = np.arange(len(data.frame_id))
        gap = MAX_GAP_SECONDS * rate
        joints, valid = take_joints(data, times * rate, every, max_gap=gap)
        if skeleton.get("frame", "camera") == "image":
            return cls(joints[..., :2], valid, skeleton)
        camera = clip.record.get("camera")
        if skeleton.get("frame", "camera") != "camera" or camera is None:
            return None
        pixels, before = project(joints, camera)  # (t, h, j, 2)
        size = np.array([camera["width"], camera["height"]])
        return cls(pixels / size, valid & before, skeleton)

    def draw(self, picture: np.ndarray, number: int) -> np.ndarray:
        """A picture (h, w, 3) with the hands of one time."""
        height, width = picture.shape[:2]
        joints = self.joints[number] * np.array([width, height])
        return draw_hands(picture, joints, self.valid[number], self.layout)


def _data_of(clip: Clip, kind: SkeletonKind) -> SkeletonFile | None:
    data = clip.record.get("skeleton_data")
    if data is not None and not isinstance(data, SkeletonFile):
        return check_skeleton(f"hands of {clip.name}", data, kind)
    if data is None and clip.record.get("skeleton_path"):
        return load_skeleton_file(clip.record["skeleton_path"], kind)
    return data
