"""Compare the names of streams and tasks that several parts of a config repeat."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mmfusion.engine.launch.nearest import nearest
from mmfusion.registry import METRICS, MODELS, TRANSFORMS
from mmfusion.structures import main_task
from mmfusion.utils.errors import ConfigError

_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
# those that read what ActionDataSample.to_dict gives
_MMACTION_METRICS = ("AccMetric", "ConfusionMatrix")
# whose transforms read the times of no stream but those that are packed
_HOMES = ("mmfusion", "mmaction", "mmcv", "mmengine")


def check_streams(config: Mapping[str, Any]) -> None:
    """Refuse a stream that no pipeline packs, and a task that no head has.

    Args:
        config: plain dicts and lists, as of ``check_parts``, which it has passed.

    Raises:
        ConfigError: the key path, and the names that are there.
    """
    model = config.get("model") or {}
    encoders = model.get("encoders")
    heads = model.get("heads")
    if not isinstance(encoders, dict) or not isinstance(heads, dict):
        return  # a model of another kind
    taught = set()
    for place, teacher in teachers_of(model):
        taught |= _read_by(place, teacher, model)
    _check_neck("model", model.get("neck"), encoders)
    for name in model.get("frozen") or ():
        _check("model.frozen", name, encoders, "encoder")
    read = {*encoders, *_extra_streams(encoders)}
    for loader in _LOADERS:
        needed = read | taught if loader == "train_dataloader" else read
        for path, pipeline in _pipelines(config.get(loader), loader):
            _check_pipeline(path, pipeline, needed, needed - read)
    for key in ("val_evaluator", "test_evaluator"):
        metrics = config.get(key) or []
        for metric in metrics if isinstance(metrics, list | tuple) else [metrics]:
            _check_metric(key, metric, heads)


def teachers_of(model: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Key path and config of each teacher that a model trains with."""
    for name, auxiliary in (model.get("auxiliary") or {}).items():
        teacher = (auxiliary or {}).get("teacher")
        if isinstance(teacher, Mapping) and isinstance(teacher.get("encoders"), dict):
            yield f"model.auxiliary.{name}.teacher", teacher


def _read_by(
    place: str, teacher: Mapping[str, Any], student: Mapping[str, Any]
) -> set[str]:
    """Streams of the batch that a teacher reads, of which its student reads none."""
    _check_neck(place, teacher.get("neck"), teacher["encoders"])
    ours, theirs = (one.get("data_preprocessor") or {} for one in (student, teacher))
    for key in ("mean", "std"):
        if teacher.get("data_preprocessor") and ours.get(key) != theirs.get(key):
            raise ConfigError(
                f"config key {place}.data_preprocessor.{key}: got {theirs.get(key)},"
                f" but the video comes as model.data_preprocessor leaves it, with"
                f" {ours.get(key)}; a teacher needs the same"
            )
    name = place.split(".")[2]
    inputs = student["auxiliary"][name].get("inputs") or {}
    read = {*teacher["encoders"], *_extra_streams(teacher["encoders"])}
    return {inputs.get(stream, stream) for stream in read}


def _check(path: str, name: str, known: Collection[str], what: str) -> None:
    if name not in known:
        raise ConfigError(
            f"config key {path}: no {what} named {name!r}{nearest(str(name), known)};"
            f" there are {sorted(known)}"
        )


def _check_neck(place: str, neck: Any, encoders: Mapping[str, Any]) -> None:
    """Streams by name in the arguments of a neck."""
    for key in ("streams", "in_dims"):
        names = (neck or {}).get(key)
        if isinstance(names, list | tuple | dict):
            for name in names:
                _check(f"{place}.neck.{key}", name, encoders, "encoder")


def _extra_streams(encoders: Mapping[str, Any]) -> Iterator[str]:
    for encoder in encoders.values():
        kind = encoder.get("type")
        found = MODELS.get(kind) if isinstance(kind, str) else kind
        extra = getattr(found, "extra_streams", ())
        yield from extra if isinstance(extra, tuple) else ()


def _pipelines(node: Any, path: str) -> Iterator[tuple[str, list]]:
    """Every list of transforms that ends with PackInputs, with its key path."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _pipelines(value, f"{path}.{key}")
    elif isinstance(node, list | tuple):
        if any(_name(step) == "PackInputs" for step in node):
            yield path, list(node)
        for index, value in enumerate(node):
            yield from _pipelines(value, f"{path}.{index}")


def _name(step: Any) -> str:
    kind = step.get("type") if isinstance(step, dict) else None
    return getattr(kind, "__name__", str(kind).rpartition(".")[2])


def _check_pipeline(
    path: str, pipeline: list, read: set[str], taught: set[str]
) -> None:
    """Compare packed streams with those read, some (``taught``) by a teacher alone."""
    packing = next(step for step in pipeline if _name(step) == "PackInputs")
    place = pipeline.index(packing)
    packed = [*packing.get("streams", ("video", "skeleton"))]
    for step in pipeline[place:]:
        if _name(step) == "DropStreams" and step.get("keep"):
            packed += [step["keep"] + name for name in step.get("rates") or ()]
    at = f"{path}.{place}.streams"
    # a transform of the user's that comes later may add streams
    complete = all(_is_known(step) for step in pipeline[place:])
    for name in sorted(read - {*packed}) if complete else ():
        who = "the encoders of the model read"
        if name in taught:
            who = "the teacher in model.auxiliary reads in training, by this name or"
            who += " that of its inputs=dict(...)"
        raise ConfigError(
            f"config key {at}: {list(packed)} lacks {name!r}, which {who}"
            f"{nearest(name, packed)}"
        )
    if not all(_is_known(step) for step in pipeline):
        return  # a transform of the user's may read any stream
    for name in sorted({*packed} - read - {"video", "skeleton", "text", "boxes"}):
        _check(at, name, read, "encoder")
    for index, step in enumerate(pipeline):
        counts = step.get("num_frames")
        for name in counts if isinstance(counts, dict) else ():
            _check(f"{path}.{index}.num_frames", name, packed, "packed stream")


def _is_known(step: Any) -> bool:
    kind = step.get("type")
    found = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
    inner = [one for key in ("transforms",) for one in step.get(key) or ()]
    home = getattr(found, "__module__", "").partition(".")[0]
    return home in _HOMES and all(_is_known(one) for one in inner)


def _check_mmaction(path: str, name: str, heads: Mapping[str, Any]) -> None:
    if name not in _MMACTION_METRICS:
        raise ConfigError(
            f"config key {path}.type: mmaction.{name} reads more than scores and labels"
            f" of actions; of MMAction2's metrics there are {_MMACTION_METRICS}"
        )
    if main_task(heads) is None:
        raise ConfigError(
            f"config key {path}.type: mmaction.{name} scores one task, 'action' or the"
            f" only one; the heads are {sorted(heads)}; use AccuracyMetric"
        )


def _check_metric(path: str, metric: Any, heads: Mapping[str, Any]) -> None:
    """Tasks of AccuracyMetric, and the one task of MMAction2's metrics."""
    kind = metric.get("type")
    found = METRICS.get(kind) if isinstance(kind, str) else kind
    if getattr(found, "__module__", "").startswith("mmaction."):
        _check_mmaction(path, _name(metric), heads)
    if _name(metric) != "AccuracyMetric":
        return
    for task in metric.get("tasks") or ():
        _check(f"{path}.tasks", task, heads, "head")
    for name, parts in (metric.get("joint_tasks") or {}).items():
        for task in parts:
            _check(f"{path}.joint_tasks.{name}", task, heads, "head")
