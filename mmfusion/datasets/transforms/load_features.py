"""Features of a video, computed by others, at the times of a stream."""

import string
from functools import lru_cache
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform

from mmfusion.datasets.caches.token_cache import ABOUT, read_about
from mmfusion.datasets.media.feature_files import read_lmdb, read_video_features
from mmfusion.datasets.media.video_reader import TIME_EPS
from mmfusion.datasets.transforms.sample_times import mark_absent, times_of
from mmfusion.registry import TRANSFORMS
from mmfusion.structures import MASK_SUFFIX
from mmfusion.utils.errors import FeatureError, InputError
from mmfusion.utils.paths import resolve_inside

RULSTM_KEY = "{video_id}_frame_{frame:010d}.jpg"  # fpv-iplab/rulstm, dataset.py
_FIELDS = ("id", "group", "video_id", "participant_id")


@TRANSFORMS.register_module()
class LoadFeatures(BaseTransform):
    """Take the features at ``times[stream]``, known then or just before.

    Feature number n belongs to the frame shown from (n - first) / fps seconds on, and
    reads ``reach`` seconds of video after that; it is taken at no time before them. A
    time gets the last one that may be known, not older than ``max_age``. So the gap of
    ``SampleObservedFrames`` holds for features as for frames.

    A ``path`` without a suffix, or with ``.lmdb``, is an LMDB of RULSTM's layout
    (Furnari and Farinella, fpv-iplab/rulstm): TSN's rgb and flow with 1,024 numbers a
    frame, obj with 352, 30 frames a second, images numbered from 1. Its own loader
    reads the number floor(30 t) at t, one frame earlier than is shown then: ``first=0``
    does the same. With another suffix (npy, npz, pt, safetensors) it is a file a video,
    (t, d), whose rows count from 0; of a file with an array ``times``, these are the
    seconds from which rows are known.

    Args:
        stream: name of the stream, as in the sampler and in PackInputs.
        path: in the folder ``root``, such as ``"features/rgb"`` or
            ``"omnivore/{video_id}.npy"``; fields are video_id, participant_id, group
            and id of the record.
        width: d.
        fps: features a second. first: number of the first feature; None is 1 in an LMDB
            and 0 in a file.
        reach: seconds, of features that read a window of frames.
        key: of a frame in an LMDB, with ``{frame}``; name of the array in a file of
            several.
        max_age: seconds.
        root: folder of the features; None is data_root.
        optional: zeros, and False in the mask, in place of an error where there is no
            feature.

    Required keys: times, path_roots. Added keys: <stream> (v, t, d) float32; and, with
    ``optional`` or ``times_mask``, <stream>_mask (v, t) bool.

    Example:
        >>> load = LoadFeatures("rgb", "features/rgb", width=1024, max_age=0.01)
        >>> load.names(2.0, video_id="P01_01")
        ['P01_01_frame_0000000061.jpg']
    """

    def __init__(
        self,
        stream: str,
        path: str,
        *,
        width: int,
        fps: float = 30.0,
        first: int | None = None,
        reach: float = 0.0,
        key: str | None = None,
        max_age: float = 0.5,
        root: str | None = None,
        optional: bool = False,
    ) -> None:
        if width < 1 or not fps > 0 or reach < 0 or not max_age > 0:
            raise InputError(
                f"width is {width}, fps {fps}, reach {reach}, max_age {max_age};"
                " expected 1 or more, above 0, 0 or more, above 0"
            )
        self.stream, self.path, self.width = stream, path, width
        self.is_lmdb = "." not in path.rpartition("/")[2] or path.endswith(
            (".mdb", ".lmdb")
        )
        self.first = int(self.is_lmdb) if first is None else first
        self.fps, self.reach = float(fps), float(reach)
        self.key = key or (RULSTM_KEY if self.is_lmdb else None)
        self.max_age, self.root, self.optional = float(max_age), root, optional
        _check_fields("path", path, _FIELDS)
        if self.is_lmdb and "frame" not in _check_fields(
            "key", str(self.key), (*_FIELDS, "frame")
        ):
            raise InputError(f"key is {key!r}; expected one with the field {{frame}}")

    def transform(self, results: dict) -> dict:
        times = times_of(results, self.stream)  # (v, t)
        fields = _fields(results)
        root = self.root or results["path_roots"][0]
        path = resolve_inside(
            root,
            self._filled("path", self.path, fields),
            what=f"features of sample {results.get('sample_id')!r}",
            link_roots=results["path_roots"],
        )
        take = self._from_lmdb if self.is_lmdb else self._from_file
        values, there = take(path, times.reshape(-1), fields)
        if not (self.optional or there.all()):
            late = times.reshape(-1)[~there][0]
            raise FeatureError(
                path,
                f"no feature is known {self.max_age} s or less before {late:.3f} s of"
                f" {fields.get('video_id') or fields['id']!r}; expected one at"
                f" {self.fps:g} a second (fps, first, key), or optional=True",
            )
        results[self.stream] = values.reshape(*times.shape, self.width)  # (v, t, d)
        if self.optional or "times_mask" in results:
            mask = mark_absent(there.reshape(times.shape), results, self.stream)
            results[self.stream + MASK_SUFFIX] = mask  # (v, t)
        return results

    def names(self, seconds: float, **fields: str) -> list[str]:
        """Keys in an LMDB that may answer at a time, the one that is wanted first."""
        last = int(self._number(np.asarray(seconds)))
        oldest = max(self.first, last - int(self.max_age * self.fps))
        return [
            self._filled("key", str(self.key), {**fields, "frame": number})
            for number in range(last, oldest - 1, -1)
        ]

    def _number(self, seconds: np.ndarray) -> np.ndarray:
        """Number of the last feature that may be known."""
        shown = (seconds + TIME_EPS - self.reach) * self.fps  # as frames are chosen
        return np.floor(shown).astype(int) + self.first

    def _from_lmdb(
        self, path: str, seconds: np.ndarray, fields: dict
    ) -> tuple[np.ndarray, np.ndarray]:
        """(n, d) float32 and whether each is there, (n,)."""
        _check_rate(path, self.fps)
        values = np.zeros((len(seconds), self.width), np.float32)
        there = np.zeros(len(seconds), bool)
        for place, time in enumerate(seconds):
            found = read_lmdb(path, self.names(time, **fields), self.width)
            if found is not None:
                values[place], there[place] = found[1], True
        return values, there

    def _from_file(
        self, path: str, seconds: np.ndarray, fields: dict
    ) -> tuple[np.ndarray, np.ndarray]:
        found = read_video_features(path, self.width, self.key)
        known = found.times
        if known is None:
            known = np.arange(len(found.values)) / self.fps + self.reach  # (t,)
            rows = self._number(seconds) - self.first
        else:
            rows = np.searchsorted(known, seconds + TIME_EPS, side="right") - 1
        rows = np.minimum(rows, len(known) - 1)
        age = seconds - known[np.maximum(rows, 0)]
        there = (rows >= 0) & (age <= self.max_age + TIME_EPS)
        values = np.zeros((len(seconds), self.width), np.float32)
        values[there] = found.take(rows[there])
        return values, there

    def _filled(self, name: str, template: str, fields: dict) -> str:
        try:
            return template.format(**fields)
        except KeyError as error:
            raise InputError(
                f"{name} is {template!r}, and sample {fields.get('id')!r} has no"
                f" {error}; it has {sorted(fields)}"
            ) from None


@lru_cache(maxsize=16)
def _check_rate(path: str, fps: float) -> None:
    """Compare the numbers a second with those that tools/features.py wrote.

    Raises:
        InputError: others, so that a number would be of another, even a later, time.
    """
    told = read_about(path).get("fps") if Path(path, ABOUT).is_file() else None
    if told is not None and told != fps:
        raise InputError(
            f"fps is {fps:g}, but the keys of {path} count {told:g} a second ({ABOUT});"
            f" give LoadFeatures fps={told:g}"
        )


def _fields(results: dict) -> dict[str, str]:
    """Names of a record that a path or a key may have."""
    extra = results.get("extra") or {}
    found = {name: results.get(name, extra.get(name)) for name in _FIELDS}
    return {name: str(value) for name, value in found.items() if value is not None}


def _check_fields(name: str, template: str, known: tuple[str, ...]) -> set[str]:
    """The fields of a template, which are plain names."""
    try:
        parts = [*string.Formatter().parse(template)]
        found = {field for _, field, *_ in parts if field is not None}
        if found <= {*known}:
            template.format(**{key: 1 if key == "frame" else "" for key in known})
    except (LookupError, ValueError) as error:  # such as {:zz}
        raise InputError(f"{name} is {template!r}: {error}") from None
    if not found <= {*known}:
        raise InputError(
            f"{name} is {template!r} with the fields {sorted(found - {*known})};"
            f" expected some of {known}"
        )
    return found
