"""Open every video of EPIC-KITCHENS-100 and say which segments it cannot serve.

    python tools/data/ek100/verify.py --root data/ek100
    python tools/data/ek100/verify.py --root data/ek100 --split val --media frames \
        --boxes-dir boxes --draw 8 --out work_dirs/verify_ek100

Of each video the packets are read, not the pictures: is it there, can it be opened, and
is it as long as the csv says? Segments that end after their video are listed with file
and line, hands and boxes (--skeleton-dir, --boxes-dir) are opened, and --draw writes
the middle frame of so many random clips, with its boxes. Exit code 1: something is
wrong.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import track

from mmfusion.layouts import epic_kitchens as epic
from mmfusion.datasets.caches.box_cache import load_box_file
from mmfusion.datasets.epic_kitchens import MEDIA, EpicKitchensDataset
from mmfusion.utils.errors import MediaError
from mmfusion.datasets.transforms.load_skeleton import load_skeleton_file
from mmfusion.datasets.media.video_io import open_frames, open_video

_SHOWN = 20
YELLOW = (255, 255, 0)


def media_seconds(record: dict[str, Any], root: Path, chunk_seconds: float) -> float:
    """How long the pictures of a record's video last.

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
    chunks = sorted(path.glob("*.[mM][pP]4"), key=lambda one: float(one.stem))
    if not chunks:
        raise MediaError(str(path), "the folder has no chunk")
    expected = [number * chunk_seconds for number in range(len(chunks))]
    found = [float(one.stem) for one in chunks]
    if found != expected:
        lacking = sorted(set(expected) - set(found))[:1]
        raise MediaError(str(path), f"the chunk {lacking[0]:g}.MP4 is missing")
    return found[-1] + open_video(chunks[-1]).duration


def check_split(args: argparse.Namespace, split: str, console: Console) -> list[str]:
    """One line for everything that is wrong with a split."""
    dataset = make_dataset([], args, split)
    folder = args.root / args.annotation_dir
    file = args.segments or Path(args.annotation_dir) / epic.SEGMENT_FILES[split]
    segments = epic.read_segments(args.root / file, epic.read_classes(folder))
    records: dict[str, dict[str, Any]] = {}
    for index in range(len(dataset)):
        record = dataset.get_record(index)
        records.setdefault(record["group"], record)
    faults, seconds = [], {}
    for video, record in track(records.items(), split, console=console):
        try:
            seconds[video] = media_seconds(record, args.root, args.chunk_seconds)
            if args.boxes_dir:
                load_box_file(str(args.root / record["boxes"]["file"]))
            if args.skeleton_dir:
                load_skeleton_file(str(args.root / record["skeleton"]["file"]))
        except (MediaError, OSError) as error:
            faults.append(f"{video}: {error}")
    for one in segments:
        if one.video in seconds and one.stop_sec > seconds[one.video] + (
            epic.SLACK_SECONDS
        ):
            faults.append(
                f"{one.place}: {one.narration_id!r} stops at {one.stop_sec:g} s, but"
                f" {one.video} is shorter than its csv says: {seconds[one.video]:g} s"
            )
    if args.draw:
        draw(args, split, args.draw)
    return faults


def make_dataset(
    pipeline: list[dict], args: argparse.Namespace, split: str
) -> EpicKitchensDataset:
    return EpicKitchensDataset(
        pipeline,
        data_root=str(args.root),
        split=split,
        annotation_dir=args.annotation_dir,
        segments=args.segments,
        actions=None,
        media=args.media,
        media_dir=args.media_dir,
        index_fps=args.index_fps,
        chunk_seconds=args.chunk_seconds,
        skeleton_dir=args.skeleton_dir,
        boxes_dir=args.boxes_dir,
        test_mode=True,
        link_roots=args.link_roots,
    )


def draw(args: argparse.Namespace, split: str, num: int) -> None:
    """The middle frame of random clips with its boxes, a PNG each, to look at."""
    pipeline: list[dict] = [
        dict(type="SampleTimes", num_frames=dict(video=1), mode="uniform"),
        dict(type="DecodeVideo"),
        *([dict(type="LoadBoxes")] if args.boxes_dir else []),
    ]
    dataset = make_dataset(pipeline, args, split)
    args.out.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(0).permutation(len(dataset))[:num]
    for index in order.tolist():
        results = dataset[index]
        image = np.ascontiguousarray(results["imgs"][0])
        size = np.array([image.shape[1], image.shape[0]] * 2)
        if args.boxes_dir:
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
    parser.add_argument("--split", choices=tuple(epic.SEGMENT_FILES), help="all")
    parser.add_argument("--annotation-dir", default="", help="of the csv, under ROOT")
    parser.add_argument("--segments", help="another file of segments; needs --split")
    parser.add_argument("--media", choices=MEDIA, default="videos")
    parser.add_argument("--media-dir", default="videos", help="under ROOT")
    parser.add_argument("--index-fps", type=float, help="of extracted frames")
    parser.add_argument("--chunk-seconds", type=float, default=15.0)
    parser.add_argument("--skeleton-dir", help="of hands, under ROOT")
    parser.add_argument("--boxes-dir", help="of boxes, under ROOT")
    parser.add_argument("--draw", type=int, default=0, help="clips to draw, a split")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/verify_ek100"))
    parser.add_argument("--link-roots", nargs="*", default=[])
    args = parser.parse_args(argv)
    if args.segments and not args.split:
        parser.error("--segments needs --split")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    console = Console()
    there = [
        split
        for split, file in epic.SEGMENT_FILES.items()
        if args.segments or (args.root / args.annotation_dir / file).is_file()
    ]
    splits = [args.split] if args.split else there
    if not splits:
        raise FileNotFoundError(f"{args.root} has no csv file of segments")
    faults = [line for split in splits for line in check_split(args, split, console)]
    shown = [*faults[:_SHOWN], *(["..."] if len(faults) > _SHOWN else [])]
    summary = f"{len(faults)} faults in {', '.join(splits)}"
    console.print(
        "\n".join([*shown, summary]), highlight=False, markup=False, soft_wrap=True
    )
    return 1 if faults else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
