"""Tokens of a config's video stream, written once: a file a clip.

Shapes: b clips of a batch, v views, l tokens, d channels, n frames.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mmfusion.apis.loaded import put_in
from mmfusion.datasets.caches.token_cache import (
    ABOUT,
    canonical,
    differences,
    file_of,
    read_about,
    read_tokens,
    write_about,
    write_tokens,
)
from mmfusion.datasets.error_policy import BadSample
from mmfusion.datasets.sampler import SampleKey
from mmfusion.engine.launch.argument_check import class_name
from mmfusion.engine.launch.config_data import without_training
from mmfusion.engine.launch.config_features import (
    datasets_of,
    describe,
    frame_steps,
    steps_of,
)
from mmfusion.engine.runner.dataloader import build_dataloader
from mmfusion.models.layers.hf_encoder import digest_of
from mmfusion.registry import DATASETS, MODELS
from mmfusion.structures import TokenFeatures
from mmfusion.utils.errors import ConfigError, FeatureError, InputError
from mmfusion.weights import fetch, load_checked

STREAM = "video"
DTYPES = {"fp32": np.float32, "fp16": np.float16}
Tell = Callable[[str, int, int], None]
"""Split, clips done, clips in all."""


@dataclass
class Written:
    """Count of what was done.

    Attributes:
        written, present: clips whose file was made, or was there.
        broken: error of each clip that cannot be read, by its id.
        num_bytes: of the files that were made.
    """

    written: int = 0
    present: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    num_bytes: int = 0


class FrozenEncoder:
    """The video encoder of a config with its weights, and the pixels that it reads.

    Args:
        config: completed, without ``features``.
        checkpoint: of the whole model; None takes the weights that the config names.

    Raises:
        InputError: no video encoder, or one that is trained.
    """

    def __init__(self, config: Config, checkpoint: str | None = None) -> None:
        if checkpoint is not None:  # which holds what was trained
            config = Config(config.to_dict())
            config.model.frozen = [STREAM]
        self.about = describe(config, STREAM)
        with DefaultScope.overwrite_default_scope("mmfusion"):
            model = MODELS.build(without_training(config.model))
        if checkpoint is None:
            model.init_weights()
        else:
            put_in(model, load_checked(fetch(checkpoint)), checkpoint)
        model.eval()
        self.pixels: nn.Module = model.data_preprocessor
        self.encoder: nn.Module = model.encoders[STREAM]
        state = self.encoder.state_dict()
        self.about["weights"] = bytes(digest_of(state).tolist()).hex()

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, Tensor], rows: int) -> TokenFeatures:
        """Encode clips (b, v, 3, t, h, w) uint8 as rows (b v), ``rows`` at once.

        The last clip is repeated up to that number, so that each row is computed as in
        a batch of training, to the last digit.
        """
        data = self.pixels(dict(inputs=dict(inputs)), False)["inputs"]
        video = data[STREAM].flatten(0, 1)
        mask = data.get(f"{STREAM}_mask")
        count = len(video)
        fill = torch.arange(max(rows, count)).clamp(max=count - 1)
        found = self.encoder(
            video[fill], None if mask is None else mask.flatten(0, 1)[fill]
        )
        cls = None if found.cls is None else found.cls[:count]
        kept = None if found.mask is None else found.mask[:count]
        return TokenFeatures(found.tokens[:count], cls, kept)


def write_features(
    config: Config,
    out: Path,
    *,
    dtype: str = "fp32",
    checkpoint: str | None = None,
    overwrite: bool = False,
    tell: Tell = lambda split, done, total: None,
) -> Written:
    """Write the tokens of every clip of a config's loaders; what is there stays.

    Args:
        config: completed, without ``features``; its pipelines draw nothing at random.
        out: folder of the files.
        dtype: key of ``DTYPES``. checkpoint: see :class:`FrozenEncoder`.
        overwrite: replace features of something else; else that is an error.
        tell: is told after every batch.

    Raises:
        InputError: a pipeline that draws at random, a trained encoder, or features of
            something else in the folder.
    """
    encode = FrozenEncoder(config, checkpoint)
    steps: dict[str, Any] = {}
    jobs: list[tuple[str, str, dict]] = []
    for path, dataset in datasets_of(config):
        split, own = str(dataset.get("split")), steps_of(path, dataset)
        if steps.setdefault(split, own) != own:
            raise ConfigError(
                f"config key {path}.pipeline: {differences_text(steps[split], own)};"
                f" two loaders of the split {split!r} must do the same to frames"
            )
        if split not in [name for name, *_ in jobs]:
            jobs.append((split, path, dataset))
    about = {**encode.about, "steps": steps, "dtype": dtype}
    done = Written()
    for split, path, dataset in jobs:
        data = _dataset(path, dataset)
        _check_drawn(data, path)
        batch = config[path.split(".")[0]].get("batch_size") or 1
        workers = config[path.split(".")[0]].get("num_workers") or 0
        if "with_cls" not in about:
            about["with_cls"] = _with_cls(encode, data, batch)
            _begin(out, about, overwrite)
        made = {**about, "steps": {split: steps[split]}}
        waiting = _waiting(data, out, made, done)
        total = len(data)
        tell(split, total - len(waiting), total)
        for samples in _batches(data, _cut(waiting, batch), workers):
            _write_batch(encode, samples, batch, out, made, done)
            tell(split, total - len(waiting) + samples.end, total)
    return done


def differences_text(made: Any, wanted: Any) -> str:
    """All differences of two descriptions, in a line."""
    return "; ".join(differences(made, wanted))


def _begin(out: Path, about: dict[str, Any], overwrite: bool) -> None:
    """Compare the folder's description with this one, and write it."""
    if (out / ABOUT).exists() and not overwrite:
        told = differences_text(read_about(out), about)
        if told:
            raise InputError(
                f"{out} has other features: {told}; give another --out, or --overwrite"
            )
    write_about(out, about)


def _dataset(path: str, settings: Mapping[str, Any]) -> Any:
    """The dataset of a loader, its pipeline cut down to the video."""
    pipeline = settings["pipeline"]
    own = frame_steps(path, pipeline)
    samplers = [
        number
        for number in range(own[0])
        if class_name(pipeline[number].get("type")).startswith("Sample")
    ]
    kept = [dict(pipeline[number]) for number in (*samplers, *own)]
    pack = dict(type="PackInputs", streams=[STREAM], meta_keys=["times"])
    plain = {k: v for k, v in settings.items() if k not in ("on_error", "questions")}
    with DefaultScope.overwrite_default_scope("mmfusion"):
        return DATASETS.build(
            {
                **plain,
                "pipeline": [*kept, pack],
                "on_error": dict(policy="skip", max_bad=1.0),
                "labelled": None,
            }
        )


def _check_drawn(data: Any, path: str) -> None:
    """Refuse a pipeline that gives a clip otherwise in another epoch."""
    one, other = (data[SampleKey(0, epoch)] for epoch in (0, 1))
    if isinstance(one, BadSample) or isinstance(other, BadSample):
        return  # counted later
    times = [x["data_samples"].metainfo["times"][STREAM] for x in (one, other)]
    frames = [x["inputs"][STREAM] for x in (one, other)]
    what = "times" if not np.array_equal(*times) else "frames"
    if what == "frames" and torch.equal(*frames):
        return
    raise ConfigError(
        f"config key {path}.pipeline: it draws {what} at random, so that a clip has no"
        " one set of tokens; expected what a test does, such as"
        " train_dataloader.dataset.pipeline = val_pipeline"
    )


def _with_cls(encode: FrozenEncoder, data: Any, batch: int) -> bool:
    """Ask for a CLS token of the encoder, by the first clip that is whole."""
    for index in range(len(data)):
        sample = data[index]
        if not isinstance(sample, BadSample):
            inputs = {k: v[None] for k, v in sample["inputs"].items()}
            return encode(inputs, 1).cls is not None
    raise FeatureError(data.ann_file, "no clip of it can be read")


def _waiting(data: Any, out: Path, made: Mapping, done: Written) -> list[int]:
    """Places of the clips that have no file, or one of something else."""
    wanted, found = canonical(made), []
    for index in range(len(data)):
        path = file_of(out, data.get_record(index)["id"])
        if path.is_file():
            try:
                if read_tokens(path, head_only=True)[1]["made"] == wanted:
                    done.present += 1
                    continue
            except FeatureError:
                pass  # cut off by something else than us: made again
        found.append(index)
    return found


class _Samples(list):
    """Samples of a batch, and how many clips have been read with it."""

    end = 0


def _cut(places: list[int], batch: int) -> list[list[int]]:
    """Batches of places in turn."""
    return [places[at : at + batch] for at in range(0, len(places), batch)]


def _batches(data: Any, batches: list[list[int]], workers: int) -> Iterator[_Samples]:
    keys = [[SampleKey(place) for place in places] for places in batches]
    loader = build_dataloader(
        DataLoader(
            data,
            batch_sampler=keys,  # type: ignore[arg-type]
            num_workers=workers,
            collate_fn=_Samples,
        ),
        seed=0,
    )
    end = 0
    try:
        for samples in loader:
            end += len(samples)
            samples.end = end
            yield samples
    finally:
        data.close()


def _write_batch(
    encode: FrozenEncoder,
    samples: _Samples,
    batch: int,
    out: Path,
    made: Mapping[str, Any],
    done: Written,
) -> None:
    good = [one for one in samples if not isinstance(one, BadSample)]
    done.broken.update(
        {one.sample_id: one.message for one in samples if isinstance(one, BadSample)}
    )
    if not good:
        return
    inputs = {k: torch.stack([x["inputs"][k] for x in good]) for k in good[0]["inputs"]}
    views = inputs[STREAM].shape[1]
    found = encode(inputs, batch * views)
    kind = DTYPES[made["dtype"]]
    for number, sample in enumerate(good):
        rows = slice(number * views, (number + 1) * views)
        meta = sample["data_samples"].metainfo
        arrays = {"tokens": found.tokens[rows].numpy().astype(kind)}  # (v, l, d)
        if found.cls is not None:
            arrays["cls"] = found.cls[rows].numpy().astype(kind)  # (v, d)
        if found.mask is not None:
            arrays["mask"] = found.mask[rows].numpy()  # (v, l)
        if not all(np.isfinite(x).all() for x in arrays.values()):
            raise FeatureError(
                str(file_of(out, meta["sample_id"])),
                f"the encoder gives NaN or infinity as {made['dtype']}; look at its"
                " weights, or take fp32",
            )
        arrays["times"] = np.asarray(meta["times"][STREAM], np.float64)  # (v, n)
        path = file_of(out, meta["sample_id"])
        write_tokens(path, meta["sample_id"], arrays, made)
        done.written += 1
        done.num_bytes += path.stat().st_size
