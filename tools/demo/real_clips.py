"""Send real clips through the real pipeline and draw what comes out.

    python tools/demo/real_clips.py --data ../shared/data --out work_dirs/real_clips

Reads hands_msl150 (five recordings, with hand samples of the same signs) and videos
(MMAction2's clips, decoder tests). Decodes each clip with decord and with PyAV, says
the largest difference, and writes contact_sheet.png: one row a clip, the last two
frames of a row with hands cropped and mirrored by the pipeline.

The hand samples of MSL-150 are other takes of the same sign (augmented, 30 frames), not
tracked in these very recordings: they move alike, and do not sit on the hands exactly.
For each recording the sample that lies best on what moves in the picture is taken.
"""

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.annotation import write_annotation
from mmfusion.datasets.caches.skeleton_cache import write_skeleton_cache
from mmfusion.datasets.media.video_io import open_video
from mmfusion.utils.errors import MediaError
from mmfusion.visualization import draw_hands

HANDS = "hands_msl150/msl150_sample.npz"
CLIPS = (
    "videos/mmaction2/demo_demo.mp4",
    "videos/mmaction2/demo_demo_skeleton.mp4",
    "videos/mmaction2/tests_data_test.avi",
    "videos/mmaction2/tests_data_test.mp4",
    "videos/mmaction2/demo_test_video_structuralize.mp4",
    "videos/decord/flipping_a_pancake.mkv",
    "videos/decord/video_0.mov",
    "videos/decord/video_180.mov",
    "videos/decord/corrupted.mp4",
)
NUM_FRAMES = 6
CELL = (384, 216)  # width, height


def pipeline(backend: str, flip: bool, with_hands: bool) -> list[dict]:
    """The transforms of a test; with ``flip``, the crop and mirror of a training."""
    streams = ["video"] + (["skeleton"] if with_hands else [])
    counts = dict.fromkeys(streams, NUM_FRAMES)
    steps = [
        dict(type="SampleTimes", num_frames=counts, mode="uniform"),
        dict(type="DecodeVideo", backend=backend),
        dict(type="mmaction.Resize", scale=(-1, 360)),
    ]
    if flip:
        steps += [
            dict(type="mmaction.CenterCrop", crop_size=(426, 240)),
            dict(type="mmaction.Flip", flip_ratio=1.0),
        ]
    if with_hands:
        steps[2:2] = [dict(type="LoadSkeleton")]
        steps += [dict(type="AlignSkeleton")]
    return [*steps, dict(type="PackInputs", streams=streams)]


def fitting_sample(video: Path, label: int, hands: dict) -> int:
    """Index of the hand sample of class ``label`` that fits the recording best."""
    reader = open_video(video)
    times = (np.arange(30) + 0.5) / 30 * reader.duration
    small = [cv2.resize(frame, (160, 90)) for frame in reader.frames_at(times)]
    blurred = np.stack([cv2.GaussianBlur(im, (0, 0), 2) for im in small])
    motion = np.abs(np.gradient(blurred.astype(np.float32), axis=0)).mean(-1)
    best, best_score = -1, -1.0
    for sample in np.flatnonzero(hands["label"] == label):
        rows = slice(hands["start"][sample], hands["start"][sample] + 30)
        joints, valid = hands["keypoint"][rows], hands["valid"][rows]  # (30, 2, 21, 3)
        if valid.any(axis=1).mean() < 0.9:
            continue
        xy = np.clip(joints[..., :2], 0, 0.999) * (160, 90)
        frame = np.arange(30)[:, None, None]
        under = motion[frame, xy[..., 1].astype(int), xy[..., 0].astype(int)]
        score = float(under[valid].mean())
        if score > best_score:
            best, best_score = int(sample), score
    return best


def write_hands_dataset(data: Path, root: Path) -> dict[str, int]:
    """Annotation and skeleton caches of the five recordings; sample used by name."""
    hands = dict(np.load(data / HANDS, allow_pickle=False))
    names = [str(name) for name in hands["class_names"]]
    (root / "videos").symlink_to((data / "hands_msl150/videos").resolve())
    records, used = [], {}
    for label, name in enumerate(names):
        video = root / "videos" / f"{name}_001.mp4"
        duration = open_video(video).duration
        sample = fitting_sample(video, label, hands)
        used[name] = int(hands["sample_id"][sample])
        rows = slice(hands["start"][sample], hands["start"][sample] + 30)
        write_skeleton_cache(
            root / f"{name}.npz",
            keypoint=hands["keypoint"][rows],
            valid=hands["valid"][rows],
            frame_id=np.arange(30),
            fps=30 / duration,
            sequence=name,
        )
        records.append(
            dict(
                id=name,
                group=name,
                video=f"videos/{name}_001.mp4",
                start_sec=0.0,
                end_sec=duration,
                index_fps=30 / duration,
                skeleton={"file": f"{name}.npz"},
                label={"action": label},
            )
        )
    metainfo = dict(
        version=1,
        dataset="msl150_sample",
        classes={"action": names},
        skeleton=dict(
            layout="mediapipe", hands=["left", "right"], unit="1", frame="image"
        ),
    )
    write_annotation(root / "hands.json", metainfo, records)
    return used


def write_clips_dataset(root: Path) -> None:
    """Annotation of whole clips without hands."""
    records = [
        dict(id=clip, video=clip, start_sec=0.0, end_sec=None, label={"action": 0})
        for clip in CLIPS
    ]
    metainfo = dict(version=1, dataset="clips", classes={"action": ["unknown"]})
    write_annotation(root / "clips.json", metainfo, records)


def pictures(sample: dict) -> list[np.ndarray]:
    """Frames of a packed sample with its hands drawn."""
    video = sample["inputs"]["video"][0].permute(1, 2, 3, 0).numpy()  # (t, h, w, 3)
    if "skeleton" not in sample["inputs"]:
        return list(video)
    height, width = video.shape[1:3]
    joints = sample["inputs"]["skeleton"][0].numpy()  # (n, 42, 3)
    joints = joints.reshape(len(joints), 2, 21, 3) * (width, height, 1)
    valid = sample["inputs"]["skeleton_mask"][0].numpy().reshape(-1, 2, 21)
    parts = zip(video, joints, valid, strict=True)
    return [draw_hands(*part, layout="mediapipe") for part in parts]


def cell(image: np.ndarray) -> np.ndarray:
    """The picture scaled into one cell of the sheet, grey around it."""
    factor = min(CELL[0] / image.shape[1], CELL[1] / image.shape[0])
    size = round(image.shape[1] * factor), round(image.shape[0] * factor)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    canvas = np.full((CELL[1], CELL[0], 3), 40, np.uint8)
    top, left = (CELL[1] - size[1]) // 2, (CELL[0] - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = small
    return canvas


def row(title: str, images: list[np.ndarray]) -> np.ndarray:
    """A title line above the pictures."""
    line = np.concatenate([cell(image) for image in images], axis=1)
    head = np.full((22, line.shape[1], 3), 255, np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(head, title, (6, 16), font, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([head, line])


def load(ann: str, args: dict, index: int, with_hands: bool, flip: bool = False):
    """One sample by both decoders: (sample, largest difference of their pictures)."""
    by = [
        MultiModalDataset(ann, pipeline(name, flip, with_hands), **args)[index]
        for name in ("decord", "pyav")
    ]
    videos = [sample["inputs"]["video"].int() for sample in by]
    return by[0], int((videos[0] - videos[1]).abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of real data")
    parser.add_argument("--out", type=Path, required=True, help="folder of the picture")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        used = write_hands_dataset(options.data, root)
        write_clips_dataset(root)
        args = dict(data_root=str(root), link_roots=[str(options.data.resolve())])
        for index, (name, number) in enumerate(used.items()):
            plain, apart = load(str(root / "hands.json"), args, index, True)
            turned, _ = load(str(root / "hands.json"), args, index, True, flip=True)
            title = (
                f"{name}_001.mp4 with hands of another take (sample {number});"
                f" last two cropped and mirrored; decord - PyAV: {apart}"
            )
            rows.append(row(title, pictures(plain)[:4] + pictures(turned)[4:]))
            print(title)
        args["data_root"] = str(options.data)
        for index, name in enumerate(CLIPS):
            try:
                plain, apart = load(str(root / "clips.json"), args, index, False)
            except MediaError as error:
                print(f"{name}: {type(error).__name__}: {error}")
                continue
            rows.append(row(f"{name}; decord - PyAV: {apart}", pictures(plain)))
            print(f"{name}; decord - PyAV: {apart}")
    options.out.mkdir(parents=True, exist_ok=True)
    sheet = options.out / "contact_sheet.png"
    cv2.imwrite(str(sheet), np.concatenate(rows)[..., ::-1])
    print(f"wrote {sheet}")


if __name__ == "__main__":
    main()
