"""Features of whole videos at regular moments, in the layout of RULSTM's LMDB.

Shapes: b moments of a batch, d channels.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmfusion.apis.token_files import (
    STREAM,
    FrozenEncoder,
    Tell,
    Written,
    _batches,
    _begin,
    _cut,
    differences_text,
)
from mmfusion.datasets.annotation import write_annotation
from mmfusion.datasets.caches.token_cache import ABOUT, read_about
from mmfusion.datasets.clip_extent import known_duration
from mmfusion.datasets.error_policy import BadSample
from mmfusion.datasets.media.feature_files import import_lmdb, open_lmdb
from mmfusion.datasets.media.sequential_video import open_for_windows
from mmfusion.datasets.transforms.decode_video import open_source
from mmfusion.datasets.transforms.load_features import RULSTM_KEY
from mmfusion.datasets.transforms.sample_observed_frames import TAU_O
from mmfusion.engine.launch.argument_check import class_name
from mmfusion.engine.launch.config_features import datasets_of, frame_steps
from mmfusion.registry import DATASETS
from mmfusion.utils.errors import ConfigError, InputError

MOMENTS, DATA = "moments.jsonl", "data.mdb"
_SOURCE = ("video", "frame_dir", "filename_tmpl", "start_index", "index_fps")
_PAGE = 4096  # bytes of an LMDB that a value may take beside its own


def write_lmdb(
    config: Config,
    out: Path,
    *,
    rate: float = 5.0,
    fps: float = 30.0,
    checkpoint: str | None = None,
    overwrite: bool = False,
    tell: Tell = lambda split, done, total: None,
) -> Written:
    """Write a vector (d,) float32 for each moment of each video of a config.

    A moment at t seconds is as the begin of an action ``tau_a`` later: its vector is
    the summary of the encoder's tokens of the frames that ``SampleObservedFrames`` of
    the config's test pipeline takes, of which none lies after t. Its key has the number
    of the frame shown at t, from 1.

    Args:
        config: completed, without ``features``.
        out: folder of the LMDB.
        rate: moments a second. fps: numbers a second in the keys.
        checkpoint, overwrite, tell: as of ``write_features``.

    Raises:
        ConfigError: the pipeline does not sample by ``SampleObservedFrames``.
    """
    if not 0 < rate <= fps:
        raise InputError(f"rate is {rate} and fps {fps}; expected 0 < rate <= fps")
    import_lmdb()  # before the work begins
    encode = FrozenEncoder(config, checkpoint)
    path, settings = [*datasets_of(config)][-1]
    sampler = _sampler(path, settings["pipeline"])
    about = {**encode.about, "rate": rate, "fps": fps, "sampler": sampler}
    _clear(out, about, overwrite)
    _begin(out, about, overwrite)
    data = _moments(config, out, path, settings, rate)
    batch = config[path.split(".")[0]].get("batch_size") or 1
    done = Written()
    total = len(data)
    width = int(getattr(encode.encoder, "embed_dims"))  # noqa: B009
    size = 2**20 + 2 * total * (4 * width + _PAGE)
    keys = [_key(data.get_record(index), fps) for index in range(total)]
    if (out / DATA).exists():  # of fewer clips, perhaps
        size += (out / DATA).stat().st_size
    with open_lmdb(str(out), map_size=size) as env:
        with env.begin() as there:
            known = [there.get(key) is not None for key in keys]
        waiting = [index for index in range(total) if not known[index]]
        done.present = total - len(waiting)
        workers = config[path.split(".")[0]].get("num_workers") or 0
        batches = _by_video(data, waiting, batch, workers)
        for samples in _batches(data, batches, workers):
            good = [one for one in samples if not isinstance(one, BadSample)]
            bad = [one for one in samples if isinstance(one, BadSample)]
            done.broken.update({one.sample_id: one.message for one in bad})
            if good:
                values = _vectors(encode, good, batch)  # (b, d)
                names = [one["data_samples"].metainfo for one in good]
                with env.begin(write=True) as transaction:
                    for meta, value in zip(names, values, strict=True):
                        transaction.put(_key(meta, fps), value.tobytes())
                done.written += len(good)
                done.num_bytes += values.nbytes
            tell("moments", done.present + samples.end, total)
    return done


def _clear(out: Path, about: Mapping[str, Any], overwrite: bool) -> None:
    """Remove the LMDB of something else: what it has under other keys would stay.

    Raises:
        InputError: it is not one of ours.
    """
    if not (out / DATA).exists():
        return
    if not (out / ABOUT).exists():
        raise InputError(
            f"{out} has an LMDB that tools/features.py did not write; give another"
            " --out"
        )
    if overwrite:
        try:
            same = not differences_text(read_about(out), about)
        except InputError:  # damaged
            same = False
        if not same:
            (out / DATA).unlink()


class _OneReader:
    """Give all moments of a video one reader, which reads it from begin to end.

    Args:
        spans: begin and end in seconds of what each moment asks for, by video.
    """

    def __init__(self, spans: Mapping[str, Sequence[tuple[float, float]]]) -> None:
        self.spans = spans
        self.source: str | None = None
        self.reader: Any = None

    def __call__(self, results: dict) -> dict:
        source = _source_of(results)
        if source != self.source:
            self.source = self.reader = None  # where it cannot be opened
            chunks = (results.get("extra") or {}).get("chunk_seconds")
            if results.get("video_path") and not chunks:
                path = results["video_path"]
                self.reader = open_for_windows(path, self.spans[source])
            else:
                self.reader = open_source(results)
            self.source = source
        results["video_data"] = self.reader
        return results


def _source_of(record: Mapping[str, Any]) -> str:
    """The video, or the folder of frames, of a record."""
    return str(record.get("video") or record["frame_dir"])


def _by_video(
    data: Any, waiting: Iterable[int], batch: int, workers: int
) -> list[list[int]]:
    """Batches of one video each, in such an order that a worker gets whole videos.

    A loader gives batches to its workers in turn.
    """
    videos: dict[str, list[int]] = {}
    for index in waiting:
        videos.setdefault(_source_of(data.get_record(index)), []).append(index)
    queues: list[list[list[int]]] = [[] for _ in range(max(workers, 1))]
    for places in sorted(videos.values(), key=len, reverse=True):
        min(queues, key=len).extend(_cut(places, batch))
    turns = zip_longest(*queues)
    return [one for turn in turns for one in turn if one is not None]


def _vectors(encode: FrozenEncoder, good: list[dict], batch: int) -> np.ndarray:
    inputs = {k: torch.stack([x["inputs"][k] for x in good]) for k in good[0]["inputs"]}
    views = inputs[STREAM].shape[1]
    summary = encode(inputs, batch * views).summary  # (b v, d)
    if not summary.isfinite().all():
        raise InputError("the encoder gives NaN or infinity; look at its weights")
    return summary.unflatten(0, (-1, views)).mean(1).float().numpy()


def _sampler(path: str, pipeline: Any) -> dict[str, Any]:
    """Arguments of the sampler."""
    for step in pipeline:
        if class_name(step.get("type")) == "SampleObservedFrames":
            return {
                key: dict(value) if isinstance(value, Mapping) else value
                for key, value in step.items()
                if key not in ("type", "drop")
            }
    raise ConfigError(
        f"config key {path}.pipeline: it has no SampleObservedFrames, which says what"
        " is seen at a moment; expected a config of anticipation"
    )


def _moments(
    config: Config, out: Path, path: str, settings: Mapping[str, Any], rate: float
) -> Any:
    """A dataset of every moment of every video of the loaders."""
    sampler = _sampler(path, settings["pipeline"])
    gap = float(sampler.get("tau_a", 1.0))
    records: dict[str, dict] = {}
    classes = {"moment": ["any"]}  # none has a label
    metainfo = {"version": 1, "dataset": "moments", "classes": classes}
    with DefaultScope.overwrite_default_scope("mmfusion"):
        for _, one in datasets_of(config):
            data = DATASETS.build({**one, "pipeline": []})
            for index in range(len(data)):
                record = data.get_record(index)
                if record["video"] or record["frame_dir"]:
                    records.setdefault(_source_of(record), record)
    moments = []
    spans: dict[str, list[tuple[float, float]]] = {}
    past = float(sampler.get("tau_o", TAU_O))
    for source, record in records.items():
        seconds = known_duration(record)
        if seconds is None:
            raise InputError(
                f"record {record['id']!r} has no duration_sec; expected the annotation"
                " of a prepare.py, which says how long a video is"
            )
        extra = record["extra"] or {}
        name = extra.get("video_id") or record["group"] or record["id"]
        for number in range(math.floor(seconds * rate)):
            moment = number / rate
            spans.setdefault(source, []).append((max(moment - past, 0.0), moment))
            moments.append(
                {
                    "id": f"{name}@{moment:.3f}",
                    **{key: record[key] for key in _SOURCE if record[key] is not None},
                    "start_sec": moment + gap,
                    "end_sec": None,
                    "label": {},
                    "extra": {**extra, "video_id": str(name), "moment": moment},
                }
            )
    write_annotation(out / MOMENTS, metainfo, moments)
    pipeline = settings["pipeline"]
    steps = [dict(pipeline[number]) for number in frame_steps(path, pipeline)]
    pack = dict(type="PackInputs", streams=[STREAM], meta_keys=["video_id", "moment"])
    first = dict(type="SampleObservedFrames", **sampler, drop="none")
    with DefaultScope.overwrite_default_scope("mmfusion"):
        data = DATASETS.build(
            dict(
                type="MultiModalDataset",
                ann_file=str((out / MOMENTS).resolve()),
                data_root=settings.get("data_root") or "",
                link_roots=settings.get("link_roots") or (),
                pipeline=[first, *steps, pack],
                test_mode=True,
                on_error=dict(policy="skip", max_bad=1.0),
            )
        )
    if not steps[0].get("keep"):  # which reads small frames in place of the video
        data.pipeline.insert(1, _OneReader(spans))
    return data


def _key(meta: Mapping[str, Any], fps: float) -> bytes:
    """Key of the frame shown at a moment; of a record, or of a sample's metainfo."""
    found = meta.get("extra") or meta
    number = math.floor(found["moment"] * fps + 1e-6) + 1
    return RULSTM_KEY.format(video_id=found["video_id"], frame=number).encode()
