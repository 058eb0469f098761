"""Say where a number that is not finite came from, by running the batch again."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mmfusion.engine.protocols import NamesFiles

_MAX_NAMES = 8


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor within dicts, lists, tuples and dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from tensors_in(getattr(value, field.name))


def is_finite(value: Any) -> bool:
    """True if no floating tensor within ``value`` has a NaN or an infinity."""
    return all(
        bool(torch.isfinite(tensor).all())
        for tensor in tensors_in(value)
        if tensor.is_floating_point()
    )


def nonfinite_parameters(model: nn.Module) -> list[str]:
    """The names of the parameters that have a NaN or an infinity."""
    return [name for name, value in model.named_parameters() if not is_finite(value)]


def first_nonfinite_module(
    model: nn.Module, data_batch: Any, *, training: bool
) -> str | None:
    """The name of the first module, in order of execution, with a non-finite output.

    Args:
        model: a BaseModel; its weights and buffers are left as they are.
        data_batch: what its ``train_step`` or ``val_step`` was given.
        training: which of the two.
    """
    found: list[str] = []

    def watch(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if not found and not is_finite(output):
                found.append(f"{name or 'the model'} ({type(module).__name__})")

        return hook

    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    handles = [
        module.register_forward_hook(watch(name))
        for name, module in model.named_modules()
    ]
    try:
        with torch.no_grad():
            data = model.data_preprocessor(data_batch, training)  # type: ignore[operator]
            mode = "loss" if training else "predict"
            model._run_forward(data, mode=mode)  # type: ignore[operator]
    finally:
        for handle in handles:
            handle.remove()
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    return found[0] if found else None


def explain(
    runner: Any, data_batch: Any, dataset: Any, bad: Sequence[int] | None = None
) -> str:
    """Samples with their files, and the first number on the way that is not finite.

    Args:
        runner: the FusionRunner; in training, its random state put back to before the
            step.
        data_batch: the batch of the failed step.
        dataset: where the batch comes from.
        bad: which samples are concerned; all if None. Given in validation and testing.
    """
    model, training = runner.bare_model, bad is None
    parts = [f"samples {_samples(data_batch, dataset, bad)}"]
    parts += _bad_inputs(data_batch, dataset)
    weights = [name for name, value in model.named_parameters() if not is_finite(value)]
    if weights:
        parts.append(f"non-finite weights: {', '.join(weights[:_MAX_NAMES])}")
    if training:
        with runner.optim_wrapper.optim_context(model):
            module = first_nonfinite_module(model, data_batch, training=True)
    else:
        module = first_nonfinite_module(model, data_batch, training=False)
    parts.append(
        f"first module with a non-finite output: {module}"
        if module
        else "every module's output is finite"
    )
    if not training:
        return "; ".join(parts)
    gradients = [
        name
        for name, value in model.named_parameters()
        if value.grad is not None and not is_finite(value.grad)
    ]
    if gradients:
        parts.append(f"non-finite gradients: {', '.join(gradients[:_MAX_NAMES])}")
    parts.append("the weights are as before this step")
    return "; ".join(parts)


def _samples(data_batch: Any, dataset: Any, which: Sequence[int] | None) -> str:
    """Ids of samples of a batch, the first of them with their files."""
    ids = _sample_ids(data_batch)
    if which is not None:
        ids = [ids[index] for index in which if index < len(ids)]
    named = [_with_files(name, dataset) for name in ids[:_MAX_NAMES]]
    return ", ".join([*named, *ids[_MAX_NAMES:]]) or "unknown"


def _sample_ids(data_batch: Any) -> list[str]:
    samples = data_batch.get("data_samples", []) if isinstance(data_batch, dict) else []
    return [str(sample.get("sample_id", "without id")) for sample in samples]


def _with_files(sample_id: str, dataset: Any, stream: str | None = None) -> str:
    """An id and, where the dataset knows them, the files it is read from."""
    files = dataset.files_of(sample_id) if isinstance(dataset, NamesFiles) else {}
    if stream in files:
        files = {stream: files[stream]}
    shown = ", ".join(f"{name} {path}" for name, path in files.items())
    return f"{sample_id} ({shown})" if shown else sample_id


def _bad_inputs(data_batch: Any, dataset: Any) -> list[str]:
    """The streams with a number that is not finite, and the samples that have it."""
    inputs = data_batch.get("inputs") if isinstance(data_batch, dict) else None
    ids, parts = _sample_ids(data_batch), []
    for stream, values in inputs.items() if isinstance(inputs, dict) else ():
        if is_finite(values):
            continue
        names = [
            _with_files(name, dataset, stream)
            for name, value in zip(ids, values, strict=False)
            if not is_finite(value)
        ]
        of = f" of {', '.join(names[:_MAX_NAMES])}" if names else ""
        parts.append(f"non-finite input: {stream}{of}")
    return parts
