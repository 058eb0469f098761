"""Open every video of EPIC-KITCHENS-100 and say which clips it cannot serve.

    python tools/data/ek100/prepare.py --root data/ek100
    python tools/data/ek100/verify.py --root data/ek100
    python tools/data/ek100/verify.py --root data/ek100 --split val --draw 8 \
        --out work_dirs/verify_ek100

Reads the annotation of prepare.py. Of each video the packets are read, not the
pictures: can it be opened, and is it as long as the csv says? Clips that end after
their video are listed, hands and boxes are opened, and --draw writes the middle frame
of so many random clips, with its boxes. Exit code 1: something is wrong.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.annotation import load_annotation
from mmfusion.datasets.caches.box_cache import load_box_file
from mmfusion.datasets.caches.skeleton_cache import load_skeleton_file
from mmfusion.datasets.media.video_io import open_frames, open_video
from mmfusion.layouts.clip_extent import outside_video
from mmfusion.layouts.epic_kitchens import SEGMENT_FILES
from mmfusion.utils.commands import errors_in_one_line
from mmfusion.utils.errors import MediaError

_SHOWN = 20
_MOST_BOXES = 16  # a frame
YELLOW = (255, 255, 0)


def media_seconds(record: dict[str, Any], root: Path) -> float:
    """Duration of the pictures of a record's video.

    Raises:
        MediaError: they are not there or cannot be read.
    """
    if record["frame_dir"]:
        reader = open_frames(
            root / record["frame_dir"],
            filename_tmpl=record["filename_tmpl"],
            start_index=record["start_index"],
            fps=record["index_fps"],
        )
        return reader.duration
    path = root / record["video"]
    if not path.is_dir():
        return open_video(path).duration
    chunks = list(path.glob("*.[mM][pP]4"))
    if not chunks:
        raise MediaError(str(path), "the folder has no chunk")
    try:
        chunks.sort(key=lambda one: float(one.stem))
    except ValueError as error:
        reason = f"a chunk is not named by its second, as 15.MP4: {error}"
        raise MediaError(str(path), reason) from error
    length = record["extra"]["chunk_seconds"]
    expected = [number * length for number in range(len(chunks))]
    found = [float(one.stem) for one in chunks]
    if found != expected:
        lacking = sorted(set(expected) - set(found))[:1]
        raise MediaError(str(path), f"the chunk {lacking[0]:g}.MP4 is missing")
    return found[-1] + open_video(chunks[-1]).duration


def check_split(
    records: list[dict[str, Any]], split: str, root: Path, console: Console
) -> list[str]:
    """One line for everything that is wrong with a split."""
    videos = {record["group"]: record for record in reversed(records)}
    faults, seconds = [], {}
    for video, record in track(videos.items(), split, console=console):
        try:
            seconds[video] = media_seconds(record, root)
            if record["boxes"]:
                load_box_file(str(root / record["boxes"]["file"]))
            if record["skeleton"]:
                load_skeleton_file(str(root / record["skeleton"]["file"]))
        except (MediaError, OSError) as error:
            faults.append(f"{video}: {error}")
    for record in records:
        video, start, end = (record[key] for key in ("group", "start_sec", "end_sec"))
        if video in seconds and outside_video(start, end, seconds[video]):
            faults.append(
                f"{record['id']!r} stops at {end:g} s, but {video} is shorter than its"
                f" csv says: {seconds[video]:g} s"
            )
    return faults


def draw(args: argparse.Namespace, split: str, num: int) -> None:
    """The middle frame of random clips with its boxes, a PNG each, to look at."""
    pipeline: list[dict] = [
        dict(type="SampleTimes", num_frames=dict(video=1), mode="uniform"),
        dict(type="DecodeVideo"),
        dict(type="LoadBoxes", num_boxes=_MOST_BOXES, optional=True),
    ]
    dataset = MultiModalDataset(
        str(args.ann_file.resolve()),
        pipeline,
        data_root=str(args.root),
        split=split,
        test_mode=True,
        link_roots=args.link_roots,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(0).permutation(len(dataset))[:num]
    for index in order.tolist():
        results = dataset[index]
        image = np.ascontiguousarray(results["imgs"][0])
        size = np.array([image.shape[1], image.shape[0]] * 2)
        seen = results["boxes"][0, 0][results["boxes_mask"][0, 0]]
        for box in (seen * size).astype(int).tolist():
            cv2.rectangle(image, box[:2], box[2:], YELLOW)
        words = (results["text"] or {}).get("narration", "").replace(" ", "_")
        name = f"{results['sample_id']}_{words}".strip("_")
        path = args.out / f"{''.join(c for c in name if c.isalnum() or c == '_')}.png"
        if not cv2.imwrite(str(path), image[..., ::-1]):
            raise OSError(f"{path} cannot be written")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="the data root")
    parser.add_argument("--ann-file", type=Path, help="default: that of prepare.py")
    parser.add_argument("--split", choices=tuple(SEGMENT_FILES), help="all")
    parser.add_argument("--draw", type=int, default=0, help="clips to draw, a split")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/verify_ek100"))
    parser.add_argument("--link-roots", nargs="*", default=[])
    args = parser.parse_args(argv)
    args.ann_file = args.ann_file or args.root / "mmfusion" / "annotation.json"
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    _, records = load_annotation(str(args.ann_file))
    there = [name for name in SEGMENT_FILES if any(r["split"] == name for r in records)]
    splits = [args.split] if args.split else there
    faults = []
    for split in splits:
        own = [record for record in records if record["split"] == split]
        faults += check_split(own, split, args.root, console)
        if args.draw:
            draw(args, split, args.draw)
    shown = [*faults[:_SHOWN], *(["..."] if len(faults) > _SHOWN else [])]
    console.print("\n".join([*shown, f"{len(faults)} faults in {', '.join(splits)}"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(errors_in_one_line(main)())
