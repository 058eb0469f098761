"""Convert published weights of a backbone to safetensors of ours, with a report.

    python tools/converters/convert.py VideoMamba \
        hf://OpenGVLab/VideoMamba/videomamba_t16_ssv2_f8_res224.pth out.safetensors
    python tools/converters/convert.py CLIPTimeSformer IN.pth OUT.safetensors \
        --head verb=97 --head noun=300 --head action=3806
    python tools/converters/convert.py ORViT IN.pyth OUT.safetensors --img-size 336
    python tools/converters/convert.py VideoMamba best.pth published.pth --back

Without --head the file fits init_cfg of the backbone; with it, load_from of a
recognizer. --back takes a checkpoint of ours with VideoMamba and writes what the
authors' scripts read. Exit codes: 0 done, 2 wrong command, 3 the file cannot be read or
does not fit.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from torch import Tensor, nn

from mmfusion.engine.runner.checkpoints import save_atomic
from mmfusion.models import MultiModalRecognizer
from mmfusion.registry import MODELS
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.paths import write_atomic
from mmfusion.weights import fit, read_tensors
from mmfusion.weights.files import TIMEOUT, shown, tensor_bytes

BACKBONES = ("VideoMamba", "CLIPViT", "CLIPTimeSformer", "Motionformer", "ORViT")


def _head(text: str) -> tuple[str, int]:
    task, _, classes = text.partition("=")
    if not task or not classes.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}, expected such as action=174")
    return task, int(classes)


def build(args: argparse.Namespace) -> nn.Module:
    """Backbone of the command line, or with ``--head`` a recognizer of it."""
    backbone = dict(
        type=args.backbone, img_size=args.img_size, _scope_="mmfusion", **args.sizes
    )
    module = MODELS.build(backbone)
    if not args.head:
        return module
    head = dict(type="ClassificationHead", in_dims=module.embed_dims)
    heads = {
        task: dict(head, num_classes=classes, _scope_="mmfusion")
        for task, classes in args.head
    }
    return MultiModalRecognizer({"video": backbone}, heads)


def convert(tensors: dict[str, Tensor], args: argparse.Namespace) -> dict[str, Tensor]:
    """Tensors of our module from published ones; the report goes to the terminal."""
    module = build(args)
    found, report = fit(tensors, module, shown(args.source))
    own = module.state_dict()
    Console(stderr=True).print(f"{args.backbone}: {report}", highlight=False)
    return {key: found.get(key, own[key]).contiguous() for key in own}


def convert_back(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published tensors from ours; of a recognizer, its encoder and action head."""
    prefix = "encoders.video."
    names = {f"heads.action.fc.{part}": f"head.{part}" for part in ("weight", "bias")}
    if not any(key.startswith(prefix) for key in tensors):
        return tensors
    return {
        names.get(key, key.removeprefix(prefix)): value
        for key, value in tensors.items()
        if key.startswith(prefix) or key in names
    }


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("backbone", choices=BACKBONES)
    add("source", help="a path, hf://owner/repository/file or https://")
    add("out", type=Path, help="the file to write")
    add("--arch", help="size, such as tiny or base; the backbone's own if left")
    add("--num-frames", type=int, help="of the model to make")
    add("--img-size", type=int, default=224, help="side, pixels")
    add(
        "--head",
        type=_head,
        action="append",
        metavar="TASK=CLASSES",
        help="keep this published head: the file then fits load_from of a recognizer",
    )
    add("--back", action="store_true", help="from ours to the published (VideoMamba)")
    add("--container", help="the dict in the file to take, such as model_ema")
    add("--sha256", help="what the source must have; needed for https")
    add("--timeout", type=float, default=TIMEOUT, help="seconds without any byte")
    add("--revision", help="commit, tag or branch on the hub")
    args = parser.parse_args(argv)
    sizes = {"arch": args.arch, "num_frames": args.num_frames}
    args.sizes = {key: value for key, value in sizes.items() if value is not None}
    if args.back and args.backbone != "VideoMamba":
        parser.error(f"--back knows VideoMamba only, got {args.backbone}")
    if not args.back and args.out.suffix != ".safetensors":
        parser.error(f"{args.out}: expected a name in .safetensors")
    tensors = read_tensors(
        args.source,
        container=args.container,
        sha256=args.sha256,
        revision=args.revision,
        timeout=args.timeout,
    )
    if args.back:
        published = {"model": convert_back(tensors)}
        save_atomic(published, args.out)
    else:
        write_atomic(args.out, tensor_bytes(convert(tensors, args)))
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
