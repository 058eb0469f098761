"""Draw the hands over the images of random clips, one PNG a clip: look at them.

    python tools/data/verify.py data/h2o/mmfusion/annotation.json \
        --data-root data/h2o --out work_dirs/verify_h2o --num 8

Every clip goes through the same readers as in training, so that a missing file, a
wrong unit, a shifted frame number or swapped hands show here. The left hand is blue.
Beside each file name stands how many of the clip's valid joints lie in the picture.
With --mirrored frames and hands are cropped to the middle and mirrored, as in training.
Skeletons without a video are drawn alone, in the scale of their clip.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from mmfusion.analysis.clip_strips import ClipStrips
from mmfusion.datasets.multimodal_dataset import MultiModalDataset
from mmfusion.utils.commands import command_parser, errors_in_one_line, positive
from mmfusion.utils.errors import InputError
from mmfusion.visualization import draw_hands

MIN_HEIGHT = 360  # pixels, of a frame in the picture


def build_pipeline(
    num_frames: int, frame: str | None, mirrored: bool
) -> list[dict[str, Any]]:
    """Read images and joints at the same times; camera joints become image joints."""
    counts = {"video": num_frames, "skeleton": num_frames}
    pipeline: list[dict[str, Any]] = [
        {"type": "SampleTimes", "num_frames": counts, "mode": "uniform"},
        {"type": "DecodeVideo"},
        {"type": "LoadSkeleton"},
    ]
    if frame == "camera":
        pipeline.append({"type": "ProjectSkeleton"})
    if mirrored:
        pipeline += [
            {"type": "mmaction.Resize", "scale": (-1, 256)},
            {"type": "mmaction.CenterCrop", "crop_size": 224},
            {"type": "mmaction.Flip", "flip_ratio": 1.0},
            {"type": "AlignSkeleton"},
        ]
    return pipeline


def draw_clip(results: dict[str, Any], layout: str) -> tuple[np.ndarray, float]:
    """Frames side by side with hands, (h, t w, 3) uint8 RGB, and the share inside.

    Small frames are enlarged by a whole factor, so that there is something to see.
    """
    height, width = results["img_shape"]
    factor = max(1, MIN_HEIGHT // height)
    size = (width * factor, height * factor)
    (joints,), (valid,) = results["joints"], results["joints_mask"]  # of one view
    joints = joints[..., :2]  # (t, h, j, 2), fractions of the image
    inside = ((joints >= 0) & (joints < 1)).all(axis=-1) & valid  # (t, h, j)
    share = float(inside.sum() / valid.sum()) if valid.any() else 0.0
    pixels = joints * np.array(size)
    images = [
        cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)
        for image in results["imgs"]
    ]
    drawn = [
        draw_hands(image, pixels[place], valid[place], layout)
        for place, image in enumerate(images)
    ]
    return np.concatenate(drawn, axis=1), share


def file_name(results: dict[str, Any], classes: dict[str, list[str]]) -> str:
    """``subject1_h1_0_16__grab_book.png``: clip and label, without odd characters."""
    task = next(iter(classes), None)
    label = results["label"].get(task)
    name = results["sample_id"] + ("" if label is None else f"__{classes[task][label]}")
    return re.sub(r"[^\w.-]+", "_", name) + ".png"


def _has_video(dataset: MultiModalDataset, index: int) -> bool:
    record = dataset.get_record(index)
    return bool(record["video"] or record["frame_dir"])


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write (h, w, 3) uint8 RGB."""
    if not cv2.imwrite(str(path), picture[..., ::-1]):
        raise OSError(f"{path} cannot be written")


def draw_alone(
    dataset: MultiModalDataset, args: argparse.Namespace, generator: np.random.Generator
) -> list[str]:
    """Draw random clips of skeletons that have no video; a line for each."""
    if args.mirrored:
        raise InputError("--mirrored crops frames, and no clip has a video")
    strips = ClipStrips(dataset, args.frames)
    lines = []
    for index in np.sort(generator.permutation(len(dataset))[: args.num]).tolist():
        record = dataset.get_record(index)
        named = {"sample_id": record["id"], "label": record["label"]}
        path = args.out / file_name(named, dataset.metainfo["classes"])
        write_picture(path, np.concatenate(strips.frames(record["id"]), axis=1))
        lines.append(f"{path}: skeletons alone")
    return lines


@errors_in_one_line
def main(argv: list[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("annotation", type=Path)
    add("--data-root", type=Path, required=True)
    add("--out", type=Path, required=True, help="folder of the PNGs")
    add("--split", help="default: all")
    add("--num", type=positive, default=8, help="how many clips")
    add("--frames", type=positive, default=3, help="how many of a clip")
    add("--mirrored", action="store_true", help="crop and mirror, as in training")
    add("--seed", type=int, default=0)
    add("--link-roots", nargs="*", default=[])
    args = parser.parse_args(argv)
    console = Console()
    options: dict[str, Any] = dict(
        ann_file=str(args.annotation),
        data_root=str(args.data_root),
        split=args.split,
        test_mode=True,
        link_roots=args.link_roots,
    )
    plain = MultiModalDataset(pipeline=[], require=("skeleton",), **options)
    generator = np.random.default_rng(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    if not any(_has_video(plain, index) for index in range(len(plain))):
        lines = draw_alone(plain, args, generator)
        console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
        return 0
    meta = plain.metainfo
    skeleton = meta["skeleton"] or {}
    frame = skeleton.get("frame", "camera")
    pipeline = build_pipeline(args.frames, frame, args.mirrored)
    both = ("video", "skeleton")
    dataset = MultiModalDataset(pipeline=pipeline, require=both, **options)
    chosen = generator.permutation(len(dataset))[: args.num]
    lines = []
    for index in track(np.sort(chosen).tolist(), "draw", console=console):
        results = dataset[index]
        picture, share = draw_clip(results, skeleton.get("layout", "openpose21"))
        path = args.out / file_name(results, meta["classes"])
        write_picture(path, picture)
        lines.append(f"{path}: {100 * share:.1f} % of valid joints inside")
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
