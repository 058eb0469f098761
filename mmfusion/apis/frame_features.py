"""Features of whole videos at regular moments, in the layout of RULSTM's LMDB.

Shapes: b moments of a batch, d channels.
"""

import math
from collections.abc import Mapping
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
)
from mmfusion.datasets.annotation import write_annotation
from mmfusion.datasets.clip_extent import known_duration
from mmfusion.datasets.error_policy import BadSample
from mmfusion.datasets.media.feature_files import import_lmdb
from mmfusion.datasets.transforms.load_features import RULSTM_KEY
from mmfusion.engine.launch.argument_check import class_name
from mmfusion.engine.launch.config_features import datasets_of, frame_steps
from mmfusion.registry import DATASETS
from mmfusion.utils.errors import ConfigError, InputError

MOMENTS = "moments.jsonl"
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
    lmdb = import_lmdb()
    encode = FrozenEncoder(config, checkpoint)
    path, settings = [*datasets_of(config)][-1]
    sampler = _sampler(path, settings["pipeline"])
    about = {**encode.about, "rate": rate, "fps": fps, "sampler": sampler}
    _begin(out, about, overwrite)
    data = _moments(config, out, path, settings, rate)
    batch = config[path.split(".")[0]].get("batch_size") or 1
    done = Written()
    total = len(data)
    width = int(getattr(encode.encoder, "embed_dims"))  # noqa: B009
    size = 2**20 + 2 * total * (4 * width + _PAGE)
    keys = [_key(data.get_record(index), fps) for index in range(total)]
    with lmdb.open(str(out), map_size=size) as env:
        with env.begin() as there:
            known = [there.get(key) is not None and not overwrite for key in keys]
        waiting = [index for index in range(total) if not known[index]]
        done.present = total - len(waiting)
        workers = config[path.split(".")[0]].get("num_workers") or 0
        for samples in _batches(data, waiting, batch, workers):
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


def _vectors(encode: FrozenEncoder, good: list[dict], batch: int) -> np.ndarray:
    inputs = {k: torch.stack([x["inputs"][k] for x in good]) for k in good[0]["inputs"]}
    views = inputs[STREAM].shape[1]
    summary = encode(inputs, batch * views).summary  # (b v, d)
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
                    records.setdefault(record["video"] or record["frame_dir"], record)
    moments = []
    for record in records.values():
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
        return DATASETS.build(
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


def _key(meta: Mapping[str, Any], fps: float) -> bytes:
    """Key of the frame shown at a moment; of a record, or of a sample's metainfo."""
    found = meta.get("extra") or meta
    number = math.floor(found["moment"] * fps + 1e-6) + 1
    return RULSTM_KEY.format(video_id=found["video_id"], frame=number).encode()
