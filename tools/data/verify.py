"""Draw the skeletons over the images of random clips, one PNG a clip: look at them.

    python tools/data/verify.py data/h2o/mmfusion/annotation.json \
        --data-root data/h2o --out work_dirs/verify_h2o --num 8

Every clip goes through the same readers as in training, so that a missing file, a
wrong unit, a shifted frame number or swapped hands show here. The line above a picture
names the hands in their colours, the clip and its class; beside each file name stands
how many of the clip's valid joints lie in the picture. Clips without a video, and
joints that no camera puts into it, are drawn on a plain ground, scaled to fit. With
--mirrored frames and hands are cropped to the middle and mirrored, as in training.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from mmfusion.datasets.multimodal_dataset import MultiModalDataset
from mmfusion.layouts.hand_layouts import JointLayout, get_layout, layout_of
from mmfusion.registry import TRANSFORMS
from mmfusion.utils.commands import command_parser, errors_in_one_line, positive
from mmfusion.visualization import draw_hands
from mmfusion.visualization.hands import HAND_COLOURS

MIN_HEIGHT = 360  # pixels, of a frame in the picture
PLAIN_SIDE, PLAIN_GREY = 360, 245  # of the ground for a skeleton without a picture


def build_pipeline(num_frames: int) -> list[dict[str, Any]]:
    """Read images, where there are any, and joints at the same times."""
    counts = {"video": num_frames, "skeleton": num_frames}
    return [
        {"type": "SampleTimes", "num_frames": counts, "mode": "uniform"},
        {"type": "DecodeVideo", "missing_size": (PLAIN_SIDE, PLAIN_SIDE)},
        {"type": "LoadSkeleton"},
    ]


def to_picture(results: dict[str, Any], mirrored: bool) -> dict[str, Any]:
    """Bring joints to fractions of the picture, and crop and mirror both if asked."""
    steps: list[dict[str, Any]] = []
    if results["joints_frame"] == "camera":
        steps.append({"type": "ProjectSkeleton"})
    elif results["joints_frame"] == "pixels":
        height, width = results["original_shape"]
        results["joints"] = results["joints"] / np.float32([width, height, 1])
        results["joints_frame"] = "image"
    if mirrored:
        steps += [
            {"type": "mmaction.Resize", "scale": (-1, 256)},
            {"type": "mmaction.CenterCrop", "crop_size": 224},
            {"type": "mmaction.Flip", "flip_ratio": 1.0},
            {"type": "AlignSkeleton"},
        ]
    for step in steps:
        results = TRANSFORMS.build(step)(results)
    return results


def draw_clip(
    results: dict[str, Any], layout: JointLayout
) -> tuple[np.ndarray, float]:
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


def draw_plain(results: dict[str, Any], layout: JointLayout) -> np.ndarray:
    """Skeletons alone on a plain ground, x and y scaled to fit, (h, t w, 3) uint8 RGB.

    All frames have one scale. In the frames ``world`` and ``body`` y points up.
    """
    (joints,), (valid,) = results["joints"], results["joints_mask"]
    joints = joints[..., :2].astype(np.float64)  # (t, h, j, 2)
    if results["joints_frame"] in ("world", "body"):
        joints[..., 1] = -joints[..., 1]
    seen = joints[valid] if valid.any() else np.zeros((1, 2))
    low, high = seen.min(axis=0), seen.max(axis=0)
    scale = 0.85 * PLAIN_SIDE / max(float((high - low).max()), 1e-9)
    pixels = (joints - (low + high) / 2) * scale + PLAIN_SIDE / 2
    ground = np.full((PLAIN_SIDE, PLAIN_SIDE, 3), PLAIN_GREY, np.uint8)
    ground[:, -1] = 0  # a line between frames
    drawn = [draw_hands(ground, *one, layout) for one in zip(pixels, valid, strict=True)]
    return np.concatenate(drawn, axis=1)


def with_legend(picture: np.ndarray, title: str, hands: Sequence[str]) -> np.ndarray:
    """The picture with a line above it: id and class, then each hand in its colour."""
    bar = np.full((26, picture.shape[1], 3), (28, 28, 32), np.uint8)
    left, font = 6, (cv2.FONT_HERSHEY_SIMPLEX, 0.45)
    colours = [HAND_COLOURS[n % len(HAND_COLOURS)] for n in range(len(hands))]
    words = [*zip(hands, colours, strict=True), (title, (235, 235, 235))]
    for text, colour in words:
        text = text.encode("ascii", "replace").decode()  # all that cv2 can write
        cv2.putText(bar, text, (left, 18), *font, colour, 1, cv2.LINE_AA)
        left += cv2.getTextSize(text, *font, 1)[0][0] + 14
    return np.concatenate([bar, picture], axis=0)


def file_name(results: dict[str, Any], classes: dict[str, list[str]]) -> str:
    """``subject1_h1_0_16__grab_book.png``: clip and label, without odd characters."""
    task = next(iter(classes), None)
    label = results["label"].get(task)
    name = results["sample_id"] + ("" if label is None else f"__{classes[task][label]}")
    return re.sub(r"[^\w.-]+", "_", name) + ".png"


def draw(
    results: dict[str, Any], path: Path, layout: JointLayout, mirrored: bool
) -> str:
    """Write the picture of a clip; a word on what is seen in it."""
    placed = results["joints_frame"] in ("image", "pixels") or results.get("camera")
    if results["imgs_mask"].any() and placed:
        results = to_picture(results, mirrored)
        picture, share = draw_clip(results, layout)
        told = f"{100 * share:.1f} % of valid joints inside"
    else:
        if mirrored:
            results = TRANSFORMS.build({"type": "FlipSkeleton", "flip_prob": 1.0})(
                {key: value for key, value in results.items() if key != "imgs"}
            )
        picture = draw_plain(results, layout)
        told = f"skeletons alone, {100 * results['joints_mask'].mean():.1f} % of joints seen"
    hands = results["joints_hands"] or ["first", "second"][: results["num_hands"]]
    picture = with_legend(picture, path.stem, hands)
    if not cv2.imwrite(str(path), picture[..., ::-1]):
        raise OSError(f"{path} cannot be written")
    return told


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
        require=("skeleton",),
        test_mode=True,
        link_roots=args.link_roots,
    )
    meta = MultiModalDataset(pipeline=[], **options).metainfo
    skeleton = meta["skeleton"] or {}
    layout = layout_of(skeleton)
    if layout is None:
        layout = get_layout(skeleton.get("layout") or "openpose21")
    pipeline = build_pipeline(args.frames)
    dataset = MultiModalDataset(pipeline=pipeline, **options)
    generator = np.random.default_rng(args.seed)
    chosen = generator.permutation(len(dataset))[: args.num]
    args.out.mkdir(parents=True, exist_ok=True)
    lines = []
    for index in track(np.sort(chosen).tolist(), "draw", console=console):
        results = dataset[index]
        path = args.out / file_name(results, meta["classes"])
        lines.append(f"{path}: {draw(results, path, layout, args.mirrored)}")
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
