"""Operations of a forward pass, in all and by module.

An addition and a multiplication are two operations (FLOPs); a multiply-add is the pair,
and what most papers call a FLOP. Counted are matrix products, convolutions, attention
and the scans; norms, activations, gates and sums are not. Nothing is computed and
nothing allocated: modules and inputs have no content (PyTorch's meta device).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import mmfusion.ops.torch_scan  # noqa: F401  registers the operator that is counted
from mmfusion.analysis.meta_device import without_content
from mmfusion.analysis.tables import NONE, Grid
from mmfusion.engine.launch.config_data import without_training
from mmfusion.models import MultiModalRecognizer
from mmfusion.models.layers import MambaMixer
from mmfusion.models.protocols import CountsOwnFlops, HasInputShape, ReadsBoxes
from mmfusion.ops import scan_backend
from mmfusion.registry import MODELS
from mmfusion.utils.errors import ConfigError

MILLION, BILLION = 1e6, 1e9
Counts = dict[str, float]
Shapes = dict[str, tuple[int, ...]]


def scan_flops(
    u_shape: Sequence[int],
    delta_shape: Sequence[int],
    A_shape: Sequence[int],
    *_: Any,
    out_shape: Any = None,
) -> int:
    """Operations of one scan: seven a state, three a channel.

    delta A and its exponential, (delta u) B, the state's product and sum, and C's; and
    delta u, the skip's product and sum.
    """
    tokens = torch.Size(u_shape).numel()  # groups, batch, length, channels
    return tokens * (7 * A_shape[-1] + 3)


def count_flops(module: nn.Module, call: Callable[[], tuple[Any, ...]]) -> Counts:
    """FLOPs of one forward pass by module name; ``""`` is the whole.

    Args:
        module: on the meta device; it is not to be trained afterwards.
        call: makes its arguments, of tensors without content.
    """
    module.requires_grad_(False)  # torch's counter fails on a parameter given back
    mapping = {torch.ops.mmfusion.chunked_scan: scan_flops}
    counts = dict.fromkeys((name for name, _ in module.named_modules()), 0.0)
    with (
        torch.device("meta"),
        torch.no_grad(),
        sdpa_kernel(SDPBackend.MATH),
        scan_backend("torch"),
        FlopCounterMode(display=False, custom_mapping=mapping) as counter,
    ):
        hooks = []
        for name, part in module.named_modules():
            before, after = _watch(name, counter, counts)
            hooks.append(part.register_forward_pre_hook(before))
            hooks.append(part.register_forward_hook(after))
        try:
            module(*call())
        finally:
            for hook in hooks:
                hook.remove()
    for name, part in module.named_modules():
        if isinstance(part, CountsOwnFlops):
            for whole in _above(name):
                counts[whole] += part.uncounted_flops
    return counts


def _above(name: str) -> Iterator[str]:
    """A module's name and those of all that hold it; the whole's is empty."""
    while name:
        yield name
        name = name.rpartition(".")[0]
    yield ""


def _watch(
    name: str, counter: FlopCounterMode, counts: Counts
) -> tuple[Callable[..., None], Callable[..., None]]:
    """Hooks that add what is counted between a module's beginning and its end."""
    begun: list[int] = []

    def before(*_: Any) -> None:
        begun.append(counter.get_total_flops())

    def after(*_: Any) -> None:
        counts[name] += counter.get_total_flops() - begun.pop()

    return before, after


def published_flops(module: nn.Module, counts: Counts) -> float:
    """Whole as VideoMamba's authors count it: of a mixer, its in_proj and out_proj.

    Their counter does not see into the fused kernel of convolution, x_proj, dt_proj and
    scan.
    """
    total = counts[""]
    for name, part in module.named_modules():
        if isinstance(part, MambaMixer):
            prefix = f"{name}." if name else ""
            seen = counts[f"{prefix}in_proj"] + counts[f"{prefix}out_proj"]
            total -= counts[name] - seen
    return total


def num_parameters(module: nn.Module) -> int:
    """Numbers in all parameters."""
    return sum(p.numel() for p in module.parameters())


def count_config(
    config: Config, given: Mapping[str, tuple[int, ...]]
) -> tuple[MultiModalRecognizer, Counts, Shapes]:
    """Model of a config without content, its FLOPs by module, and its inputs' sizes.

    Args:
        config: complete.
        given: size of one view of a stream, before the config's; see `input_shapes`.
    """
    with without_content():
        model = MODELS.build(without_training(config.model)).eval()
    model.to("meta")
    model.load_state_dict(model.state_dict())  # an encoder may refuse to run unloaded
    shapes = input_shapes(config, model, given)

    def inputs() -> tuple[dict[str, Tensor]]:
        kinds = {"text": torch.int64}
        return (
            {
                name: torch.empty(1, 1, *shape, dtype=kinds.get(name, torch.float32))
                for name, shape in shapes.items()
            },
        )

    return model, count_flops(model, inputs), shapes


def input_shapes(
    config: Config, model: MultiModalRecognizer, given: Mapping[str, tuple[int, ...]]
) -> Shapes:
    """Size of one view of each stream: given, or the encoder's or test pipeline's.

    Returns:
        video (3, t, h, w), skeleton (t, j, c), text (q, l), boxes (t, o, 4), features
        from files (t, c).

    Raises:
        ConfigError: the size of a stream is found nowhere.
    """
    shapes: Shapes = dict(given)
    for name, encoder in model.encoders.items():
        if name not in shapes and isinstance(encoder, HasInputShape):
            shapes[name] = tuple(encoder.input_shape)
        elif name not in shapes:
            shapes[name] = _from_pipeline(name, config, model)
        if isinstance(encoder, ReadsBoxes):
            shapes.setdefault("boxes", (shapes[name][1], encoder.num_boxes, 4))
    return shapes


def _from_pipeline(
    name: str, config: Config, model: MultiModalRecognizer
) -> tuple[int, ...]:
    """Size that the transforms of the test data give a stream."""
    loader = config.get("test_dataloader") or {}
    steps = (loader.get("dataset") or {}).get("pipeline") or []
    pipeline = {_class_name(step["type"]): step for step in steps}
    sampler = pipeline.get("SampleTimes") or pipeline.get("SampleObservedFrames") or {}
    frames = (sampler.get("num_frames") or {}).get(name)
    widths = {
        step["stream"]: int(step["width"])
        for step in steps
        if _class_name(step["type"]) == "LoadFeatures"
    }
    if name in widths and frames:
        return frames, widths[name]
    if name == "text":
        length = pipeline.get("TokenizeQuestions", {}).get("max_length")
        if length:
            return len(model.question_tasks), int(length)
    if name == "video" and frames:
        sizes = {"CenterCrop": "crop_size", "ThreeCrop": "crop_size", "Resize": "scale"}
        for step, key in sizes.items():
            size = pipeline.get(step, {}).get(key)
            if size is not None:
                width, height = (size, size) if isinstance(size, int) else size
                return 3, frames, height, width
    raise ConfigError(
        f"the config does not say how large the stream {name!r} is; give"
        f" --shape {name}=" + {"text": "2x40", "video": "3x16x224x224"}.get(name, "AxB")
    )


def _class_name(kind: Any) -> str:
    return (kind if isinstance(kind, str) else kind.__name__).rpartition(".")[2]


def module_table(title: str, model: nn.Module, counts: Counts, depth: int) -> Grid:
    """Name, class, parameters, multiply-adds and share of the parts to a depth."""
    head = ["module", "class", "params M", "GMACs", "share"]
    return Grid(title, head, list(_rows(model, counts, depth)))


def _rows(model: nn.Module, counts: Counts, depth: int) -> Iterator[list[str]]:
    total = counts[""] or 1.0
    for name, part in model.named_modules():
        level = name.count(".") + 1 if name else 0
        if level > depth or not (counts[name] or num_parameters(part)):
            continue
        whole = counts[name] or _of_children(name, part, counts)
        yield [
            "  " * level + (name.rpartition(".")[2] or "all"),
            type(part).__name__,
            f"{num_parameters(part) / MILLION:.3f}",
            f"{whole / 2 / BILLION:.3f}",
            f"{100 * whole / total:.1f} %" if counts[""] else NONE,
        ]


def _of_children(name: str, part: nn.Module, counts: Counts) -> float:
    """FLOPs of a container, which is never called itself."""
    prefix = f"{name}." if name else ""
    return sum(
        counts[prefix + key] or _of_children(prefix + key, child, counts)
        for key, child in part.named_children()
    )
