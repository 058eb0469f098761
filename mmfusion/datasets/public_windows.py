"""Frames that public anticipation loaders read on EPIC-KITCHENS-100, as our formulas.

Each function gives the numbers of the frames of one loader, from what its annotation
has; its docstring names the lines that it was read from. Arguments are scalars or
arrays (s,), s segments; results have the frames, in order, on the last axis.

The official numbers of frames count at 60 a second (50 in the extension) whatever the
video's own rate is; RULSTM's lists count at 30. File number 1 is the frame at 0 s.
"""

import numpy as np

Array = np.ndarray

INAVIT_FPS = 30.0  # TARGET_FPS, slowfast/config/defaults.py:731
INAVIT_FRAMES = 64  # 16 frames, 4 apart
VJEPA2_FPS = 8.0  # configs/eval/*/ek100.yaml, frames_per_second
VJEPA2_TRAIN_POINT = (0.0, 0.25)  # train_anticipation_point
VJEPA2_TRAIN_GAP = (0.25, 1.75)  # train_anticipation_time_sec
LIST_FPS = 30.0  # of RULSTM's features
RULSTM_STEP, RULSTM_STEPS, RULSTM_AT_1S = 0.25, 14, 11  # 11th of 14 steps: 1 s before


def inavit_numbers(
    length: float | Array, fps: float | Array, num_frames: int, share: Array
) -> Array:
    """Numbers of InAViT and MambaVL, counted from the action's own first frame.

    A clip is placed in the action as for recognition, ``share`` of the room from its
    start; the window ends fps / 30 frames before the clip, **not 1 s**, and every
    number is clamped to the action's frames.

    LAHAproject/InAViT @a699dc8, slowfast/datasets/ek_MF/frame_loader.py:29-31, 48-65,
    and datasets/decoder.py:53-68; Dongzhikang/MambaVL @601b789, the same file.

    Args:
        length: frames of the action.
        fps: at which they count.
        num_frames: of a view.
        share: (v,) place of each view, view k of v being k / v in a test.

    Returns:
        (..., v, num_frames) whole numbers from 0.
    """
    length, scale = np.asarray(length), np.asarray(fps) / INAVIT_FPS
    room = np.maximum(length - INAVIT_FRAMES * scale, 0.0)
    end = room[..., None] * share - scale[..., None]
    begin = np.maximum(end - INAVIT_FRAMES * scale[..., None], 0)
    numbers = np.linspace(begin + 1, end + 1, num_frames, axis=-1)
    last = np.maximum(length - 1, 0)[..., None, None]
    return np.floor(np.clip(numbers, 0, last))


def vjepa2_numbers(
    start: float | Array,
    stop: float | Array,
    fps: float | Array,
    num_frames: int,
    *,
    point: float = 0.0,
    gap: float = 1.0,
) -> Array:
    """Numbers of V-JEPA 2, which it takes for those of the video's own frames, from 0.

    The window ends ``gap`` seconds before a point of the action that is its **end**
    where ``point`` is 0, as in every evaluation, and its start where it is 1.

    facebookresearch/vjepa2 @c2963a4, evals/action_anticipation_frozen/
    epickitchens.py:114-137 and eval.py:96; configs/eval/*/ek100.yaml.

    Args:
        start, stop: the annotation's frame numbers.
        fps: the video's own rate, whatever the annotation counts at.
        num_frames: of the clip (32), int(fps / 8) apart.
        point: 1 is the action's start, 0 its end.
        gap: seconds.

    Returns:
        (..., num_frames) int64, negative ones not yet set to 0.
    """
    rate = np.asarray(fps, dtype=np.float64)
    step = np.trunc(rate / VJEPA2_FPS)
    place = np.asarray(start) * point + (1 - point) * np.asarray(stop)
    end = np.trunc(place - np.trunc(gap * rate))
    ahead = np.arange(num_frames, 0, -1)
    return (end[..., None] - ahead * step[..., None]).astype(np.int64)


def jfaa_numbers(start: Array, fps: Array, num_frames: int = 32) -> Array:
    """Numbers, from 0, of the images that JFAA reads: V-JEPA 2 from the action's start.

    The images count at 60 a second; the second before the action and the step are
    counted at the video's own rate.

    CorrineQiu/JFAA @38482c8, evals/action_anticipation_frozen/
    epickitchens_frames.py:148-177 and configs/jfaa_vjepa2_vitG_infer.yaml:45-55.

    Returns:
        (s, num_frames) int64, those before the video at 0.
    """
    step = np.maximum(np.rint(fps / VJEPA2_FPS), 1)
    end = start - np.rint(fps)
    ahead = np.arange(num_frames, 0, -1)
    return np.maximum(end[:, None] - ahead * step[:, None], 0).astype(np.int64)


def rulstm_numbers(start: Array) -> tuple[Array, Array, Array]:
    """File numbers of RULSTM's features for the prediction 1 s ahead.

    Of 14 steps of 0.25 s before the action, the model has seen 11 where it predicts 1 s
    ahead. A number below 1 becomes the smallest valid one of all 14, which may be one
    of the last second.

    fpv-iplab/rulstm @e648c7e, RULSTM/dataset.py:122, 154-179; main.py:29-36, 336.

    Args:
        start: (s,) the list's frame number, 30 a second.

    Returns:
        (s, 11) int64; (s,) bool, no step has a frame and the segment is dropped; (s,)
        bool, some step lies before the video.
    """
    ahead = RULSTM_STEP * np.arange(RULSTM_STEPS, 0, -1)
    numbers = np.floor((start[:, None] / LIST_FPS - ahead) * LIST_FPS).astype(np.int64)
    valid = numbers >= 1
    dropped, padded = numbers[:, -1] < 1, numbers[:, 0] < 1
    first = np.where(valid, numbers, np.iinfo(np.int64).max).min(axis=1)
    numbers = np.where(valid, numbers, first[:, None])
    return numbers[:, :RULSTM_AT_1S], dropped, padded


def avt_numbers(
    start: Array, fps: Array, seconds: int = 10
) -> tuple[Array, Array, Array]:
    """Numbers, from 0, of the video's frames that AVT-b reads, one a second.

    The last is the one shown 1 s before the action or the one before; the others are
    round(fps) apart; a clip that is too short begins with its first frame again and
    again.

    facebookresearch/AVT @b082c99, datasets/base_video_dataset.py:82-104, 534-635;
    expts/01_ek100_avt.txt:30-64.

    Args:
        start: (s,) seconds.
        fps: (s,) the video's own rate.
        seconds: of the window, and frames.

    Returns:
        (s, seconds) int64; (s,) bool dropped, (s,) bool padded.
    """
    begin, end, dropped = _cut_window(start, fps, seconds)
    last, first = np.floor(end * fps + 1e-9), np.ceil(begin * fps - 1e-9)
    return _from_the_back(last, first, np.rint(fps), seconds, dropped)


def afft_numbers(start: Array, seconds: int = 18) -> tuple[Array, Array, Array]:
    """File numbers of RULSTM's features that AFFT reads, one a second.

    zeyun-zhong/AFFT @7115751, datasets/base_video_dataset.py:57-79, 236-335;
    datasets/reader_fns.py:115-123; expts/01_SA-Fuser_ek100_val_TSN.txt:33-41 (18 s, the
    file of Swin 16 s).

    Args:
        start: (s,) seconds.
        seconds: of the window, and frames.

    Returns:
        As :func:`avt_numbers`.
    """
    rate = np.full(len(start), LIST_FPS)
    begin, end, dropped = _cut_window(start, rate, seconds)
    last, first = np.floor(end * LIST_FPS), np.floor(begin * LIST_FPS) + 1
    return _from_the_back(last, first, rate, seconds, dropped)


def _cut_window(start: Array, fps: Array, seconds: int) -> tuple[Array, Array, Array]:
    """Begin and end of AVT's window in seconds (s,), and whether it is dropped.

    It is cut to a whole number of frames, so that it may end up to one of them early.
    """
    stop = start - 1.0
    begin, end = np.maximum(stop - seconds, 0), np.maximum(stop, 0)
    frames = np.rint(seconds * fps)
    skipped = np.maximum(np.trunc(fps * (end - begin)) - frames, 0)
    end = np.minimum(end, begin + (skipped + frames) / fps)
    return np.minimum(begin + skipped / fps, end), end, stop < 1 / LIST_FPS


def _from_the_back(
    last: Array, first: Array, step: Array, count: int, dropped: Array
) -> tuple[Array, Array, Array]:
    """``count`` numbers, ``step`` apart up to ``last``, none below ``first``."""
    room = np.maximum((last - first) // step, 0)  # steps that fit
    back = np.minimum(np.arange(count - 1, -1, -1), room[:, None])
    numbers = (last[:, None] - back * step[:, None]).astype(np.int64)
    return numbers, dropped, ~dropped & (room < count - 1)
