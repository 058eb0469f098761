"""``features`` of a config: tokens from files in place of frozen encoders.

``features = dict(video="work_dirs/features")`` says that the tokens of
``model.encoders.video`` lie there, as ``tools/features.py`` wrote them with the same
config. The encoder becomes a :class:`CachedEncoder`, and each pipeline reads tokens in
place of frames. What the config says of weights, pixels and encoder is compared with
what the tokens are of; what differs is named.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config, ConfigDict

from mmfusion.datasets.caches.token_cache import canonical, differences, read_about
from mmfusion.engine.launch.argument_check import class_name
from mmfusion.engine.launch.config_data import as_data
from mmfusion.models.recognizers.multimodal_preprocessor import (
    IMAGENET_MEAN,
    IMAGENET_STD,
)
from mmfusion.registry import MODELS, TRANSFORMS
from mmfusion.utils.errors import ConfigError, InputError

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
# of an encoder's config: where weights come from, which their sha256 tells better
_ORIGIN = ("pretrained", "revision", "init_cfg")
# transforms of ours that work on frames; MMAction2's and mmcv's all do
_OF_FRAMES = ("DecodeVideo", "ResizeFrames", "ColorJitter", "RandAugment")
_FOLLOW_FRAMES = ("AlignSkeleton", "AlignBoxes", "FlipSkeleton", "ProjectSkeleton")


def read_features(config: Config) -> None:
    """Put tokens in place of the encoders that ``features`` names, and drop the key.

    Args:
        config: completed.

    Raises:
        ConfigError: the key path, and what the tokens there are of.
    """
    wanted = config.get("features")
    if wanted is None:
        return
    if not isinstance(wanted, Mapping) or not all(
        isinstance(folder, str) for folder in wanted.values()
    ):
        raise ConfigError(
            f"config key features: got {wanted!r}, expected folders by stream, such as"
            " dict(video='work_dirs/features')"
        )
    for stream, folder in wanted.items():
        _read_stream(config, stream, folder)
    config.pop("features")


def _read_stream(config: Config, stream: str, folder: str) -> None:
    at = f"config key features.{stream}"
    try:
        about = read_about(folder)
        here = describe(config, stream)
    except InputError as error:
        raise ConfigError(f"{at}: {error}") from None
    told = [*differences({k: about.get(k) for k in here}, here)]
    steps = about.get("steps") or {}
    for path, dataset in datasets_of(config):
        name = str(dataset.get("split"))
        told += differences(steps.get(name), steps_of(path, dataset), f"steps.{name}")
    if told:
        raise ConfigError(
            f"{at}: the features in {folder} are out of date: {'; '.join(told)}; make"
            f" them again: python tools/features.py CONFIG --out {folder} --overwrite"
        )
    config.model.encoders[stream] = ConfigDict(
        type="mmfusion.CachedEncoder",
        encoder=config.model.encoders[stream],
        folder=folder,
        weights=about["weights"],
        with_cls=bool(about.get("with_cls")),
    )
    for path, dataset in datasets_of(config):
        if any(class_name(x.get("type")) == "LoadTokens" for x in dataset["pipeline"]):
            continue  # of a loader that shares it
        dataset["clip_timeout"] = None  # nothing is decoded that could hang
        own = frame_steps(path, dataset["pipeline"])
        steps_there = steps_of(path, dataset)
        load = ConfigDict(
            type="mmfusion.LoadTokens",
            stream=stream,
            folder=folder,
            made=canonical(
                {**about, "steps": {str(dataset.get("split")): steps_there}}
            ),
            instead_of=[dataset["pipeline"][number] for number in own],
        )
        dataset["pipeline"] = [
            load if number == own[0] else step
            for number, step in enumerate(dataset["pipeline"])
            if number == own[0] or number not in own
        ]


def describe(config: Config, stream: str) -> dict[str, Any]:
    """Description of the tokens of a stream, as far as its model's config tells.

    Raises:
        InputError: no such stream, or its encoder is not frozen.
    """
    model = config.get("model") or {}
    encoder = (model.get("encoders") or {}).get(stream)
    if encoder is None or stream != "video":
        raise InputError(
            f"the stream is {stream!r}, and the encoders are"
            f" {sorted(model.get('encoders') or {})}; expected 'video' among them: only"
            " tokens of video are kept, as other streams cost a run little"
        )
    published = class_name(encoder.get("type")) == "HFVideoEncoder"
    frozen = published and encoder.get("mode", "frozen") == "frozen"
    if not frozen and stream not in (model.get("frozen") or ()):
        raise InputError(
            f"encoders.{stream} is trained; its tokens can be kept only where it is"
            f" frozen: model.frozen = ({stream!r},), or mode='frozen'"
        )
    pixels = model.get("data_preprocessor") or {}
    plain = {k: v for k, v in encoder.items() if k not in _ORIGIN}
    return {
        "stream": stream,
        "encoder": _json(as_data(plain, [MODELS])),
        "mean": [*map(float, pixels.get("mean") or IMAGENET_MEAN)],
        "std": [*map(float, pixels.get("std") or IMAGENET_STD)],
    }


def datasets_of(config: Config) -> Iterator[tuple[str, dict]]:
    """Key path and config of the dataset of each loader."""
    for loader in LOADERS:
        dataset = (config.get(loader) or {}).get("dataset")
        if isinstance(dataset, dict) and "pipeline" in dataset:
            yield f"{loader}.dataset", dataset


def steps_of(path: str, dataset: Mapping[str, Any]) -> list[Any]:
    """The transforms of frames in a pipeline, as data; the sampler is none."""
    pipeline = dataset["pipeline"]
    kept = [pipeline[number] for number in frame_steps(path, pipeline)]
    return _json(as_data(kept, [TRANSFORMS]))


def frame_steps(path: str, pipeline: Any) -> list[int]:
    """Places of the transforms that decode frames and work on them.

    Raises:
        ConfigError: there are none, or other streams follow their crops.
    """
    found = []
    for number, step in enumerate(pipeline):
        kind = step.get("type")
        name = class_name(kind)
        home = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
        if name in _FOLLOW_FRAMES:
            raise ConfigError(
                f"config key {path}.pipeline.{number}: {name} follows the crops of the"
                " frames, which are not there with features; expected a pipeline"
                " without it"
            )
        foreign = str(getattr(home, "__module__", "")).split(".")[0]
        if name in _OF_FRAMES or foreign in ("mmaction", "mmcv"):
            found.append(number)
    if not found or class_name(pipeline[found[0]].get("type")) != "DecodeVideo":
        raise ConfigError(
            f"config key {path}.pipeline: it has no DecodeVideo before what works on"
            " frames; features stand for a video"
        )
    return found


def live_form(config: Mapping[str, Any]) -> dict[str, Any]:
    """Model and pipelines of a config as they are without features, for a video."""
    model = dict(config["model"])
    if "encoders" not in model:
        return dict(config)  # a model of another kind
    model["encoders"] = {
        name: one["encoder"] if class_name(one.get("type")) == "CachedEncoder" else one
        for name, one in (model.get("encoders") or {}).items()
    }
    form = {**config, "model": model}
    for loader in LOADERS:
        dataset = (config.get(loader) or {}).get("dataset")
        if isinstance(dataset, Mapping) and dataset.get("pipeline") is not None:
            steps: list[Any] = []
            for step in dataset["pipeline"]:
                cached = class_name(step.get("type")) == "LoadTokens"
                steps += step["instead_of"] if cached else [step]
            form[loader] = {
                **config[loader],
                "dataset": {**dataset, "pipeline": steps},
            }
    return form


def _json(value: Any) -> Any:
    """With lists for tuples, as it comes back from a file."""
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    return [_json(item) for item in value] if isinstance(value, list | tuple) else value
