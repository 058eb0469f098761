"""What the converters of all families share: one command, one report."""

import argparse
import sys
from pathlib import Path

import torch
from rich.console import Console
from safetensors.torch import save
from torch import Tensor, nn

from mmfusion.models import MultiModalRecognizer
from mmfusion.registry import MODELS
from mmfusion.utils.errors import CheckpointError
from mmfusion.utils.paths import write_atomic
from mmfusion.weights import fetch, fit_published, unwrap
from mmfusion.weights.files import load_checked, state_dict_difference


def parser_of(doc: str, arches: list[str]) -> argparse.ArgumentParser:
    """The options that every family has."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", help="a path, hf://owner/repository/file or https://")
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--arch", default=arches[0], choices=arches)
    parser.add_argument("--num-frames", type=int, help="of the model to make")
    parser.add_argument("--img-size", type=int, default=224, help="side, pixels")
    parser.add_argument(
        "--head",
        action="append",
        default=[],
        metavar="TASK=CLASSES",
        help="keep this published head: the file then fits load_from of a recognizer",
    )
    parser.add_argument("--sha256", help="what the source must have; needed for https")
    parser.add_argument("--revision", help="commit, tag or branch on the hub")
    return parser


def build(kind: str, args: argparse.Namespace) -> nn.Module:
    """The backbone, or with ``--head`` a recognizer of it."""
    backbone = dict(type=kind, arch=args.arch, img_size=args.img_size)
    if args.num_frames is not None:
        backbone["num_frames"] = args.num_frames
    module = MODELS.build(dict(backbone, _scope_="mmfusion"))
    if not args.head:
        return module
    heads = {}
    for text in args.head:
        task, _, classes = text.partition("=")
        if not task or not classes.isdigit():
            raise CheckpointError(
                f"--head {text}: expected TASK=CLASSES, as action=174"
            )
        heads[task] = dict(
            type="ClassificationHead",
            num_classes=int(classes),
            in_dims=module.embed_dims,
            _scope_="mmfusion",
        )
    return MultiModalRecognizer({"video": dict(backbone, _scope_="mmfusion")}, heads)


def convert(kind: str, args: argparse.Namespace) -> dict[str, Tensor]:
    """The tensors of our module, strictly; the report goes to the terminal."""
    path = fetch(args.source, sha256=args.sha256, revision=args.revision)
    module = build(kind, args)
    tensors = unwrap(load_checked(path), args.source)
    found, report = fit_published(tensors, module)
    own = module.state_dict()
    difference = state_dict_difference(
        own, {**found, **{key: own[key] for key in report.fresh}}
    )
    if difference:
        raise CheckpointError(
            f"{args.source} does not fit {kind}({args.arch}):\n{difference}"
        )
    Console(stderr=True).print(f"{kind}({args.arch}): {report}", highlight=False)
    return {key: found.get(key, own[key]).contiguous() for key in own}


def run(kind: str, args: argparse.Namespace) -> int:
    """Convert and write; the exit code."""
    try:
        if args.out.suffix != ".safetensors":
            raise CheckpointError(f"{args.out}: expected a name in .safetensors")
        write_atomic(args.out, save(convert(kind, args)))
    except (CheckpointError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {args.out}")
    return 0


def to_cpu_tensors(path: str) -> dict[str, Tensor]:
    """Tensors of a file of ours, a recognizer's video encoder without its prefix."""
    tensors = unwrap(load_checked(path), path)
    prefix = "encoders.video."
    if not any(key.startswith(prefix) for key in tensors):
        return tensors
    backbone = {
        key.removeprefix(prefix): value
        for key, value in tensors.items()
        if key.startswith(prefix)
    }
    for part in ("weight", "bias"):
        key = f"heads.action.fc.{part}"
        if key in tensors:
            backbone[f"head.{part}"] = tensors[key]
    return backbone


def save_published(tensors: dict[str, Tensor], out: Path) -> None:
    """A file as the authors' scripts read it: ``{"model": {...}}``."""
    write_atomic(out, lambda file: torch.save({"model": tensors}, file))
