"""Treatment of a clip that does not lie within its video: stop, cut it, or drop it.

The dataset asks ``layouts/clip_extent.py`` when it is built, of every record whose
video's length is known (``duration_sec``, or ``total_frames``); every sampler asks
again where the video itself is opened anyway.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.logging import print_log

from mmfusion.datasets.media.index_cache import read_index
from mmfusion.datasets.media.video_index import VideoIndex
from mmfusion.datasets.media.video_io import VideoReader, open_frames
from mmfusion.layouts.clip_extent import outside_video
from mmfusion.utils.errors import (
    AnnotationError,
    ClipExtentError,
    InputError,
    check_choice,
)

OUTSIDE = ("raise", "cut", "drop")
_SHOWN = 3  # clips named in the log


def check_outside(policy: str) -> None:
    """Refuse what is no policy for clips outside their video."""
    check_choice("outside", policy, OUTSIDE)


def known_duration(record: Mapping[str, Any]) -> float | None:
    """Seconds of a record's video as far as the annotation says it."""
    if record.get("duration_sec") is not None:
        return float(record["duration_sec"])
    if record.get("total_frames") and record.get("index_fps"):
        return record["total_frames"] / record["index_fps"]
    return None


def _fault(record: Mapping[str, Any], duration: float | None) -> str | None:
    if duration is None:
        return None
    return outside_video(record["start_sec"], record["end_sec"], duration)


def cut(record: Mapping[str, Any], duration: float) -> dict[str, Any]:
    """Changes of a record that end it with its video."""
    changes: dict[str, Any] = {"end_sec": duration}
    last, rate = record.get("end_frame"), record.get("index_fps")
    if last is not None and rate:
        first = record.get("start_frame") or 0
        changes["end_frame"] = max(first, min(last, int(duration * rate)))
    return changes


def within_videos(records: list[dict], policy: str, source: str) -> list[dict]:
    """Records that lie within their videos, where the annotation has their length.

    Args:
        records: as the annotation has them.
        policy: ``raise``; ``cut`` ends a clip with its video, and drops one that starts
            after it; ``drop``. What is cut or dropped is counted in the log.
        source: what they are from, for errors.

    Raises:
        AnnotationError: a clip does not, and the policy is ``raise``; or none is left.
    """
    kept, ended, dropped = [], [], []
    for record in records:
        duration = known_duration(record)
        fault = _fault(record, duration)
        if duration is None or fault is None:
            kept.append(record)
        elif policy == "raise":
            raise AnnotationError(
                f"{source}: clip {record['id']!r}: {fault}; expected it within. Mend"
                " the annotation, or set the dataset's outside='cut' or 'drop'"
            )
        elif policy == "cut" and record["start_sec"] < duration:
            ended.append(record["id"])
            kept.append({**record, **cut(record, duration)})
        else:
            dropped.append(record["id"])
    if not kept:
        raise AnnotationError(
            f"{source}: none of {len(records)} clips lies within its video, as"
            f" {dropped[:_SHOWN]}; expected one at least"
        )
    _tell(ended, len(records), source, "end after their video and are cut there")
    _tell(dropped, len(records), source, "do not lie within their video: dropped")
    return kept


def _tell(names: list[str], total: int, source: str, what: str) -> None:
    if names:
        text = f"{len(names)} of {total} records of {source} {what}: {names[:_SHOWN]}"
        print_log(text + ("..." if len(names) > _SHOWN else ""), logger="current")


def fit_clip(results: dict, streams: Iterable[str]) -> None:
    """Hold the rule over a sample, by the video itself where it is read anyway.

    Args:
        results: of a pipeline; ``outside`` is the dataset's policy. Under ``cut``
            end_sec and end_frame may change.
        streams: those that times are chosen for.

    Raises:
        ClipExtentError: it does not lie within; names the clip.
    """
    if results.get("start_sec") is None:
        return
    results.setdefault("end_sec", None)
    policy = results.get("outside", "raise")
    duration = _duration(results, "video" in streams, policy)
    fault = _fault(results, duration)
    if duration is None or fault is None:
        return
    if policy != "cut" or results["start_sec"] >= duration:
        path = results.get("video_path") or results.get("frame_dir_path")
        raise ClipExtentError(
            str(results.get("sample_id")),
            f"{fault} ({path}); expected it within, or the dataset's outside='cut'",
        )
    results.update(cut(results, duration))


def _duration(results: dict, is_read: bool, policy: str) -> float | None:
    """Seconds of the pictures, without opening what nothing else would open."""
    index = index_of(results, is_read)
    if index is not None:
        return index.duration
    known = known_duration(results)
    if known is None and is_read and results.get("frame_dir_path") and policy == "cut":
        return open_folder(results).duration  # else its reader will count the files
    return known


def index_of(results: dict, is_read: bool) -> VideoIndex | None:
    """Index of the sample's video, where it has one that is read anyway."""
    chunked = (results.get("extra") or {}).get("chunk_seconds")
    if not is_read or not results.get("video_path") or chunked:
        return None
    return read_index(results["video_path"])


def open_folder(results: dict) -> VideoReader:
    """Reader of the sample's folder of frames."""
    return open_frames(
        results["frame_dir_path"],
        filename_tmpl=results.get("filename_tmpl") or "img_{:05d}.jpg",
        start_index=results.get("start_index", 1),
        total_frames=results.get("total_frames"),
        fps=results.get("index_fps") or 30.0,
        frame_ids=results.get("frame_ids"),
        roots=results.get("path_roots"),
    )


def clip_span(results: dict, streams: Iterable[str] = ()) -> tuple[float, float]:
    """Start and end of a clip in seconds; an open end is the end of its source.

    Args:
        results: of a pipeline.
        streams: those that times are chosen for; see :func:`fit_clip`.

    Raises:
        ClipExtentError: the clip does not lie within its video.
        InputError: it is empty, or nothing says where it ends.
    """
    fit_clip(results, streams)
    start, end = results.get("start_sec"), results.get("end_sec")
    start = 0.0 if start is None else float(start)
    end = _source_end(results) if end is None else float(end)
    if not start < end:
        raise InputError(
            f"sample {results.get('sample_id')!r}: start_sec {start} and end_sec {end};"
            " expected a clip of more than zero seconds"
        )
    return start, end


def _source_end(results: dict) -> float:
    """Seconds at which the video, the frame folder or the skeleton ends."""
    if results.get("video_path"):
        return read_index(results["video_path"]).duration
    known = known_duration(results)
    if known is not None:
        return known
    data = results.get("skeleton_data")
    if data is not None:
        return len(data["keypoint"]) / (results.get("index_fps") or 1.0)
    raise InputError(
        f"sample {results.get('sample_id')!r}: end_sec is missing, and there is neither"
        " a video nor total_frames with index_fps to take it from"
    )
