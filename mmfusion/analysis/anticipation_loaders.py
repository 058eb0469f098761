"""Public anticipation loaders of EPIC-KITCHENS-100: what each shows of a segment.

The formulas are in ``datasets/public_windows.py``; here they become seconds of the
video, with what is dropped, padded, or meant to be shown at another time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from mmfusion.datasets import public_windows as public
from mmfusion.datasets.transforms import SampleObservedFrames
from mmfusion.layouts.epic_kitchens import index_fps

Array = np.ndarray

# TEST.NUM_ENSEMBLE_VIEWS of configs/INAVIT/EK_INAVIT_MF_ant.yaml:85, and of
# MambaVL's configs/ORViT/EK_ORVIT_MF_HR_{ANT,AVION_ANT_cosine}.yaml
INAVIT_VIEWS, MAMBAVL_VIEWS = 10, 1
VJEPA2_FRAMES = 32  # frames_per_clip, configs/eval/*/ek100.yaml


@dataclass(frozen=True)
class Segments:
    """Segments of a split, as arrays (s,).

    Attributes:
        video: name of each one's video.
        start, stop: seconds.
        start_frame, stop_frame: official numbers.
        list_frame: number of the first frame in RULSTM's list, 30 a second.
        fps, video_frames: of the video itself.
        trained: its pair of verb and noun occurs in training; None: not known.
    """

    video: tuple[str, ...]
    start: Array
    stop: Array
    start_frame: Array
    stop_frame: Array
    list_frame: Array
    fps: Array
    video_frames: Array
    trained: Array | None

    @property
    def index_fps(self) -> Array:
        """Frames a second of the official numbers and images."""
        return np.array([index_fps(video) for video in self.video])


@dataclass(frozen=True)
class Shown:
    """Frames that a loader shows of each segment in a test.

    Attributes:
        times: (s, v, n) seconds of the video, its frames' true ones; v views whose
            scores are averaged.
        dropped: by reason, (s,) bool.
        padded: (s,) bool, frames repeated or moved, as the window did not fit.
        shift: (s,) seconds by which a wrong frame rate moves the last frame from where
            the loader means it to be; 0 without one.
        wrong_rate: (s,) bool, the assumed rate is over 1 % off.
    """

    times: Array
    dropped: dict[str, Array] = field(default_factory=dict)
    padded: Array | None = None
    shift: Array | None = None
    wrong_rate: Array | None = None


@dataclass(frozen=True)
class Loader:
    """A loader and what was read in its code.

    Attributes:
        name: of the row.
        show: the window.
        source: repository @ commit, file:lines.
        rates: how it turns frame numbers into frames.
        labels: what of a segment's annotation it uses in a test, besides its start.
    """

    name: str
    show: Callable[[Segments], Shown]
    source: str
    rates: str
    labels: str


def _official(segments: Segments) -> Shown:
    """Everything up to 1 s before the action; here its last moment."""
    last = segments.start - 1.0
    return Shown(last[:, None, None], {"begin before 1 s": last < 0})


def _rulstm(segments: Segments) -> Shown:
    numbers, dropped, padded = public.rulstm_numbers(segments.list_frame)
    times = (numbers - 1) / public.LIST_FPS
    return Shown(
        times[:, None], {"no frame before the action": dropped}, padded & ~dropped
    )


def _avt(segments: Segments) -> Shown:
    numbers, dropped, padded = public.avt_numbers(segments.start, segments.fps)
    times = numbers / segments.fps[:, None]
    return Shown(times[:, None], {"begin before 1 s": dropped}, padded)


def _afft(segments: Segments) -> Shown:
    numbers, dropped, padded = public.afft_numbers(segments.start)
    times = (numbers - 1) / public.LIST_FPS
    return Shown(times[:, None], {"begin before 1 s": dropped}, padded)


def _inavit(segments: Segments, num_views: int) -> Shown:
    rate = segments.index_fps
    first = np.rint(segments.start * rate)
    length = np.rint(segments.stop * rate) - first
    share = np.arange(num_views) / num_views
    numbers = public.inavit_numbers(length, rate, 16, share)  # (s, v, n)
    times = np.maximum(first[:, None, None] + numbers - 1, 0) / rate[:, None, None]
    # the first view would begin before the action, so that it is always clamped
    return Shown(times, padded=np.ones(len(rate), dtype=bool))


def _vjepa2(segments: Segments) -> Shown:
    rate = segments.fps
    numbers = public.vjepa2_numbers(
        segments.start_frame, segments.stop_frame, rate, VJEPA2_FRAMES
    )
    over = numbers[:, -1] >= segments.video_frames
    dropped = {"past the video's end, read at its rate": over}
    meant = numbers[:, -1] / segments.index_fps
    padded = numbers[:, 0] < 0
    times = np.maximum(numbers, 0) / rate[:, None]
    return Shown(
        times[:, None],
        _not_trained(segments) | dropped,
        padded,
        np.where(numbers[:, -1] < 0, 0.0, times[:, -1] - meant),
        np.abs(rate / segments.index_fps - 1) > 0.01,
    )


def _not_trained(segments: Segments) -> dict[str, Array]:
    """The segments that V-JEPA 2 leaves out for their label."""
    if segments.trained is None:
        return {}
    return {"action not in training": ~segments.trained}


def _jfaa(segments: Segments) -> Shown:
    numbers = public.jfaa_numbers(segments.start_frame, segments.fps)
    times = numbers / segments.index_fps[:, None]
    gap = np.rint(segments.fps) / segments.index_fps
    return Shown(
        times[:, None],
        _not_trained(segments),
        (numbers[:, 0] == 0),
        1.0 - gap,
        np.abs(segments.fps / segments.index_fps - 1) > 0.01,
    )


def _ours(segments: Segments) -> Shown:
    sampler = SampleObservedFrames(mode="uniform")
    records = [dict(start_sec=float(start)) for start in segments.start]
    found = [sampler(record) for record in records]
    return Shown(
        np.stack([one["times"]["video"] for one in found]),
        padded=np.array([one["padded"] for one in found]),
    )


NONE_USED = "none"
_INAVIT_RATES = "images at 60 fps (50 in the extension), as extracted: right"
_INAVIT_LABELS = (
    "the action's end places the views and clamps their frames"
    " (epickitchens_record.py:44-54); action recall takes a verb and a noun each in its"
    " top 5 (slowfast/utils/metrics.py:112-150)"
)
LOADERS = (
    Loader(
        "official",
        _official,
        "epic-kitchens/epic-kitchens-100-annotations @ea8b404, README.md:183",
        "seconds",
        NONE_USED,
    ),
    Loader(
        "RULSTM",
        _rulstm,
        "fpv-iplab/rulstm @e648c7e, RULSTM/dataset.py:122,154-179, main.py:29-36,336;"
        " dropped ones count as misses, main.py:274-282,446",
        "all videos made 30 fps first, and its lists count so (README.md:100): right",
        NONE_USED,
    ),
    Loader(
        "AVT",
        _avt,
        "facebookresearch/AVT @b082c99, datasets/base_video_dataset.py:82-104,534-635,"
        " expts/01_ek100_avt.txt:30-64",
        "seconds, read at the video's own rate: right",
        NONE_USED,
    ),
    Loader(
        "AFFT",
        _afft,
        "zeyun-zhong/AFFT @7115751, datasets/base_video_dataset.py:57-79,236-335,"
        " datasets/reader_fns.py:109-123, expts/01_SA-Fuser_ek100_val_TSN.txt:33-41",
        "seconds, on RULSTM's features at 30 fps: right",
        NONE_USED,
    ),
    Loader(
        f"InAViT, {INAVIT_VIEWS} views",
        partial(_inavit, num_views=INAVIT_VIEWS),
        "LAHAproject/InAViT @a699dc8, slowfast/datasets/ek_MF/frame_loader.py:29-31,"
        "48-65, datasets/decoder.py:53-68, configs/INAVIT/EK_INAVIT_MF_ant.yaml:85:"
        " 10 views",
        _INAVIT_RATES,
        _INAVIT_LABELS,
    ),
    Loader(
        f"MambaVL, {MAMBAVL_VIEWS} view",
        partial(_inavit, num_views=MAMBAVL_VIEWS),
        "Dongzhikang/MambaVL @601b789, slowfast/datasets/ek_MF/frame_loader.py,"
        " InAViT's function, configs/ORViT/EK_ORVIT_MF_HR_AVION_ANT_cosine.yaml,"
        " NUM_ENSEMBLE_VIEWS: 1 view; validation while it trains draws its place"
        " in the action",
        _INAVIT_RATES,
        f"{_INAVIT_LABELS}; its questions come on top",
    ),
    Loader(
        "V-JEPA 2",
        _vjepa2,
        "facebookresearch/vjepa2 @c2963a4, evals/action_anticipation_frozen/"
        "epickitchens.py:114-143, eval.py:96; no file in configs sets"
        " val_anticipation_point",
        "takes numbers that count at 60 for frames of the video itself"
        " (epickitchens.py:106-107,134): wrong wherever it has another rate",
        "the window hangs on the action's end; actions that training lacks are left out"
        " (epickitchens.py:227-232); the best of 20 probes on these very segments, for"
        " verb, noun and action each (eval.py:706-723)",
    ),
    Loader(
        "JFAA",
        _jfaa,
        "CorrineQiu/JFAA @38482c8, evals/action_anticipation_frozen/"
        "epickitchens_frames.py:148-177, configs/jfaa_vjepa2_vitG_infer.yaml:45-55",
        "counts the second before the action at the video's own rate on images at 60"
        " (epickitchens_frames.py:148,163): wrong gap where that is not near 60",
        "actions that training lacks are left out of validation"
        " (epickitchens_frames.py:286-292)",
    ),
    Loader(
        "ours",
        _ours,
        "mmfusion/datasets/transforms/sample_observed_frames.py, mode uniform",
        "seconds: right",
        NONE_USED,
    ),
)
