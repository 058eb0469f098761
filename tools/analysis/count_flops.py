"""Parameters and operations of the model of a config, in all and by module.

    python tools/analysis/count_flops.py configs/unimodal/video_mamba_tiny_h2o.py
    python tools/analysis/count_flops.py CONFIG --depth 3 --json flops.json
    python tools/analysis/count_flops.py CONFIG --shape text=2x20 \
        --cfg-options model.encoders.video.num_frames=16

Of one clip, one view, all its questions: give the whole for a test with 12 views times
12. Counts are multiply-adds in 1e9 (GMACs), which papers mostly call GFLOPs; matrix
products, convolutions, attention and both directions of the scans are in, norms and
activations are not. "Published" is the same by the convention of VideoMamba's paper,
which leaves a mixer's convolution, x_proj, dt_proj and scan out. Sizes of inputs are
those that encoders are built for and the config's test pipeline gives, or --shape's.
tools/analysis/README.md compares the counts with the published ones. Exit codes: 0
done, 2 wrong config or command.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from experiments import read_config
from flops import Counts, count_flops, num_parameters, published_flops
from mmengine.config import Config, DictAction
from report import NONE, Grid
from rich.console import Console
from torch import Tensor, nn

from mmfusion.registry import MODELS
from mmfusion.utils.errors import ConfigError
from mmfusion.utils.paths import write_atomic

_MILLION, _BILLION = 1e6, 1e9
Shapes = dict[str, tuple[int, ...]]


def input_shapes(
    config: Config, model: nn.Module, given: Mapping[str, tuple[int, ...]]
) -> Shapes:
    """Of one view of each stream: what was given, or the model's and pipeline's sizes.

    Returns:
        video (3, t, h, w), skeleton (t, j, c), text (q, l), boxes (t, o, 4).

    Raises:
        ConfigError: the size of a stream is found nowhere.
    """
    shapes: Shapes = dict(given)
    pipeline = _pipeline(config)
    for name, encoder in model.encoders.items():
        shape = getattr(encoder, "input_shape", None)
        if name not in shapes and shape is not None:
            shapes[name] = tuple(shape)
        elif name not in shapes:
            shapes[name] = _from_pipeline(name, pipeline, model)
        for extra in getattr(encoder, "extra_streams", ()):
            frames = shapes[name][1]
            shapes.setdefault(extra, (frames, encoder.num_objects, 4))
    return shapes


def _pipeline(config: Config) -> dict[str, Any]:
    """The transforms of the test data by name."""
    loader = config.get("test_dataloader") or {}
    steps = (loader.get("dataset") or {}).get("pipeline") or []
    return {_name(step["type"]): step for step in steps}


def _name(kind: Any) -> str:
    return (kind if isinstance(kind, str) else kind.__name__).rpartition(".")[2]


def _from_pipeline(
    name: str, pipeline: Mapping[str, Any], model: nn.Module
) -> tuple[int, ...]:
    if name == "text" and "TokenizeQuestions" in pipeline:
        length = pipeline["TokenizeQuestions"].get("max_length")
        if length:
            return len(model.question_tasks), int(length)
    if name == "video" and "SampleTimes" in pipeline:
        frames = pipeline["SampleTimes"]["num_frames"][name]
        for crop, key in (
            ("CenterCrop", "crop_size"),
            ("ThreeCrop", "crop_size"),
            ("Resize", "scale"),
        ):
            size = pipeline.get(crop, {}).get(key)
            if size is not None:
                width, height = (size, size) if isinstance(size, int) else size
                return 3, frames, height, width
    raise ConfigError(
        f"the config does not say how large the stream {name!r} is; give"
        f" --shape {name}=" + {"text": "2x40", "video": "3x16x224x224"}.get(name, "AxB")
    )


def make_inputs(shapes: Shapes) -> dict[str, Tensor]:
    """(1, 1, ...) of each stream, without content."""
    kinds = {"text": torch.int64}
    return {
        name: torch.empty(1, 1, *shape, dtype=kinds.get(name, torch.float32))
        for name, shape in shapes.items()
    }


def rows_of(model: nn.Module, counts: Counts, depth: int) -> Iterator[list[str]]:
    """Name, class, parameters in millions, GMACs and share of every part."""
    total = counts[""] or 1.0
    for name, part in model.named_modules():
        level = name.count(".") + 1 if name else 0
        if level > depth or not (counts[name] or num_parameters(part)):
            continue
        whole = counts[name] or _of_children(name, part, counts)
        yield [
            "  " * level + (name.rpartition(".")[2] or "all"),
            type(part).__name__,
            f"{num_parameters(part) / _MILLION:.3f}",
            f"{whole / 2 / _BILLION:.3f}",
            f"{100 * whole / total:.1f} %" if counts[""] else NONE,
        ]


def _of_children(name: str, part: nn.Module, counts: Counts) -> float:
    """Of a container, which is never called itself."""
    prefix = f"{name}." if name else ""
    return sum(
        counts[prefix + key] or _of_children(prefix + key, child, counts)
        for key, child in part.named_children()
    )


def analyse(
    config: Config, given: Mapping[str, tuple[int, ...]]
) -> tuple[nn.Module, Counts, Shapes]:
    """The model without content, its FLOPs by module, and the inputs' sizes."""
    with torch.device("meta"):
        model = MODELS.build(config.model).eval()
    model.load_state_dict(model.state_dict())  # an encoder may refuse to run unloaded
    shapes = input_shapes(config, model, given)
    counts = count_flops(model, lambda: (make_inputs(shapes),))
    return model, counts, shapes


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = text.partition("=")
    try:
        shape = tuple(int(size) for size in sizes.split("x"))
    except ValueError:
        shape = ()
    if not name or not shape or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected such as text=2x40")
    return name, shape


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("configs", nargs="+", type=Path, metavar="CONFIG")
    add("--depth", type=int, default=2, help="of the table of modules (%(default)s)")
    add("--shape", nargs="+", type=_shape, default=[], metavar="STREAM=AxB")
    add("--json", type=Path, metavar="FILE", help="write the numbers there too")
    add("--cfg-options", nargs="+", action=DictAction, default={}, help="key=value")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    console = Console(soft_wrap=True)
    found = []
    for path in args.configs:
        try:
            config = read_config(path, args.cfg_options)
            model, counts, shapes = analyse(config, dict(args.shape))
        except (ConfigError, FileNotFoundError, ValueError) as error:
            print(f"error: {path}: {error}", file=sys.stderr)
            return 2
        sizes = ", ".join(f"{k} {'x'.join(map(str, v))}" for k, v in shapes.items())
        head = ["module", "class", "params M", "GMACs", "share"]
        rows = list(rows_of(model, counts, args.depth))
        Grid(f"{path.stem}: {sizes}", head, rows).print(console)
        published = published_flops(model, counts)
        total = f"{counts[''] / 2 / _BILLION:.2f} G multiply-adds"
        if published != counts[""]:
            total += f"; by the published convention {published / 2 / _BILLION:.2f} G"
        parameters = num_parameters(model)
        console.print(f"{parameters / _MILLION:.2f} M parameters, {total}\n")
        found.append(
            {
                "config": str(path),
                "inputs": shapes,
                "parameters": parameters,
                "macs": counts[""] / 2,
                "macs_published_convention": published / 2,
                "macs_by_module": {k: v / 2 for k, v in counts.items() if v},
            }
        )
    if args.json:
        write_atomic(args.json, (json.dumps(found, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
