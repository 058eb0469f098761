"""Look at what a test predicted: the clip, its truth, and the best five classes."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.hooks import Hook

from mmfusion.registry import HOOKS
from mmfusion.utils.errors import ConfigError


@HOOKS.register_module()
class ShowPredictionsHook(Hook):
    """Writes or shows test clips as the model saw them, with the best five classes.

    Args:
        show_dir: folder for one mp4 a clip; None writes none.
        show: open a window.
        interval: every so many samples.
        wait_time: seconds that a window stays.
        task: the head whose scores are shown; None takes the first.
        fps: of the written clips.
    """

    def __init__(
        self,
        *,
        show_dir: str | None = None,
        show: bool = False,
        interval: int = 1,
        wait_time: float = 2.0,
        task: str | None = None,
        fps: float = 4.0,
    ) -> None:
        if show and not (
            os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        ):
            raise ConfigError("--show needs a display; --show-dir writes files instead")
        self.show_dir = None if show_dir is None else Path(show_dir)
        self.show = show
        self.interval = interval
        self.wait_time = wait_time
        self.task = task
        self.fps = fps
        self._seen = 0

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draw the samples of a batch whose turn it is; video is (b, v, 3, t, h, w)."""
        video = data_batch["inputs"].get("video")
        if video is None or any(clip.ndim != 5 for clip in video):
            shapes = {
                name: tuple(value[0].shape)
                for name, value in data_batch["inputs"].items()
            }
            raise ConfigError(
                "--show and --show-dir draw on the stream 'video', this config has "
                f"{shapes}; expected a video of (v, 3, t, h, w)"
            )
        for clip, sample in zip(video, outputs or [], strict=True):
            if self._seen % self.interval == 0:
                frames = self._draw(runner, clip[len(clip) // 2].numpy(), sample)
                self._put_out(frames, str(sample.sample_id))
            self._seen += 1

    def _draw(self, runner: Any, clip: np.ndarray, sample: Any) -> list[np.ndarray]:
        """Frames (h, w, 3) uint8 of one view (3, t, h, w), with the panel."""
        from mmfusion.visualization import render_prediction_clip

        task = self.task or next(
            key[6:] for key, _ in sample.all_items() if key.startswith("score_")
        )
        classes = (runner.test_dataloader.dataset.metainfo or {}).get("classes", {})
        score = sample.get(f"score_{task}").float().cpu().numpy()  # (k,)
        names = classes.get(task) or [str(index) for index in range(len(score))]
        best = np.argsort(-score, kind="stable")[:5]
        label = sample.get(f"gt_{task}")
        return render_prediction_clip(
            list(clip.transpose(1, 2, 3, 0)),  # t of (h, w, 3)
            None,
            None,
            [(names[index], float(score[index])) for index in best],
            None if label is None else names[int(label)],
        )

    def _put_out(self, frames: list[np.ndarray], sample_id: str) -> None:
        """Write the clip, or play it."""
        from mmfusion.visualization import write_clip_video

        if self.show_dir is not None:
            name = re.sub(r"[^\w.-]+", "_", sample_id)
            path = self.show_dir / f"{name}.mp4"
            if path.exists():
                raise ConfigError(
                    f"--show-dir: {path} is there and is not replaced; give another"
                    " folder, or move it away"
                )
            write_clip_video(path, frames, self.fps)
        if self.show:
            import cv2

            for frame in frames:
                cv2.imshow("mmfusion", frame[..., ::-1])
                cv2.waitKey(max(1, int(1000 * self.wait_time / len(frames))))
