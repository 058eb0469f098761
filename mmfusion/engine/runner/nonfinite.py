"""Say where a non-finite loss or gradient came from, by running the batch again."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

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


def first_nonfinite_module(model: nn.Module, data_batch: Any) -> str | None:
    """The name of the first module, in order of execution, with a non-finite output.

    Args:
        model: a BaseModel; its weights and buffers are left as they are.
        data_batch: what its ``train_step`` was given.
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
            data = model.data_preprocessor(data_batch, True)  # type: ignore[operator]
            model._run_forward(data, mode="loss")  # type: ignore[operator]
    finally:
        for handle in handles:
            handle.remove()
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    return found[0] if found else None


def sample_ids(data_batch: Any) -> list[str]:
    """The ids of the samples of a batch, as far as they have one."""
    samples = data_batch.get("data_samples", []) if isinstance(data_batch, dict) else []
    return [str(sample.get("sample_id", "without id")) for sample in samples]


def explain(runner: Any, data_batch: Any) -> str:
    """Sample ids, and the first input, weight, output or gradient that is not finite.

    Args:
        runner: the FusionRunner, its random state put back to before the step.
        data_batch: the batch of the failed step.
    """
    model = runner.bare_model
    parts = [f"samples {', '.join(sample_ids(data_batch)) or 'unknown'}"]
    inputs = data_batch.get("inputs", {}) if isinstance(data_batch, dict) else {}
    if isinstance(inputs, dict):
        bad = [name for name, value in inputs.items() if not is_finite(value)]
        if bad:
            parts.append(f"non-finite input: {', '.join(bad)}")
    if weights := nonfinite_parameters(model):
        parts.append(f"non-finite weights: {', '.join(weights[:_MAX_NAMES])}")
    with runner.optim_wrapper.optim_context(model):
        module = first_nonfinite_module(model, data_batch)
    parts.append(
        f"first module with a non-finite output: {module}"
        if module
        else "every module's output is finite"
    )
    gradients = [
        name
        for name, value in model.named_parameters()
        if value.grad is not None and not is_finite(value.grad)
    ]
    if gradients:
        parts.append(f"non-finite gradients: {', '.join(gradients[:_MAX_NAMES])}")
    parts.append("the weights are as before this step")
    return "; ".join(parts)
