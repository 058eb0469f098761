"""Write one test clip as a video: hands drawn, the best five classes beside it.

    python tools/demo/predict_clip.py CONFIG work_dirs/NAME/best.pth --out clip.mp4

The model sees the frames of its own test pipeline; the video has all frames of the
clip. Prints the classes as well. Exit codes: 0 done, 2 wrong config or command, 3
checkpoint unreadable or not of this model.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from mmfusion.datasets import MultiModalDataset, fusion_collate
from mmfusion.datasets.clip_extent import clip_span
from mmfusion.engine.launch.start import OptionsAction, prepare_config
from mmfusion.registry import DATASETS, MODELS, TRANSFORMS
from mmfusion.utils.commands import command_parser, errors_in_one_line
from mmfusion.utils.errors import InputError
from mmfusion.visualization import render_prediction_clip, write_clip_video
from mmfusion.weights import Pretrained

MAX_FRAMES = 600  # of the written video; a longer clip is thinned


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("config", help="config file")
    add("checkpoint", help=".pth or .safetensors")
    add("--out", type=Path, required=True, help="the .mp4 to write")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--index", type=int, default=0, help="of the test clip")
    which.add_argument("--id", help="of the test clip")
    add("--task", default="action", help="the task whose classes are shown")
    add("--fps", type=float, help="speed of the video; the clip's own if left")
    add("--data", help="data_root of the test set")
    add("--cfg-options", nargs="+", action=OptionsAction, help="change the config")
    args = parser.parse_args(argv)
    args.work_dir, args.launcher, args.local_rank = None, "none", 0
    return args


def build_dataset(config: Config, data_root: str | None) -> MultiModalDataset:
    """The config's test set."""
    settings = dict(config.test_dataloader.dataset)
    if data_root is not None:
        settings["data_root"] = data_root
    return DATASETS.build(settings)


def find_clip(dataset: MultiModalDataset, index: int, name: str | None) -> int:
    """The place of the clip that the command line names."""
    if name is not None:
        for place in range(len(dataset)):
            if dataset.get_record(place)["id"] == name:
                return place
        raise InputError(
            f"--id {name!r} is none of the {len(dataset)} test clips, as "
            f"{dataset.get_record(0)['id']!r}"
        )
    if not 0 <= index < len(dataset):
        raise InputError(f"--index is {index}, expected 0 to {len(dataset) - 1}")
    return index


def load_model(config: Config, checkpoint: str) -> torch.nn.Module:
    """The model with the checkpoint's weights, ready to predict."""
    model = MODELS.build(config.model)
    Pretrained(checkpoint)(model)
    return model.eval()


def predict(model: torch.nn.Module, sample: dict[str, Any], task: str) -> Tensor:
    """Probabilities (k,) of one sample."""
    with torch.inference_mode():
        (result,) = model.test_step(fusion_collate([sample]))
    scores = result.get(f"score_{task}")
    if scores is None:
        raise InputError(f"--task is {task!r}, which the model does not predict")
    return scores.cpu()


def read_pictures(
    dataset: MultiModalDataset, index: int
) -> tuple[dict[str, Any], float]:
    """All frames of a clip with its hands in the picture, and frames per second."""
    record = read_with(dataset, index, [])
    start, end = clip_span(record)
    fps = float(record.get("index_fps") or 30.0)
    wanted = max(1, round((end - start) * fps))
    count = min(wanted, MAX_FRAMES)
    pipeline: list[dict[str, Any]] = [
        {"type": "SampleTimes", "num_frames": {"video": count}, "mode": "uniform"},
        {"type": "DecodeVideo"},
    ]
    if record["skeleton_path"] or record["skeleton_data"]:
        pipeline[0]["num_frames"]["skeleton"] = count
        pipeline.append({"type": "LoadSkeleton"})
        skeleton = (record.get("ann_meta") or {}).get("skeleton") or {}
        if skeleton.get("frame", "camera") == "camera":
            pipeline.append({"type": "ProjectSkeleton"})
    return read_with(dataset, index, pipeline), fps * count / wanted


def read_with(
    dataset: MultiModalDataset, index: int, pipeline: list[dict[str, Any]]
) -> dict[str, Any]:
    """One sample through another pipeline than the dataset's own."""
    own = dataset.pipeline
    dataset.pipeline = [TRANSFORMS.build(transform) for transform in pipeline]
    try:
        return dataset[index]
    finally:
        dataset.pipeline = own


def draw(
    results: dict[str, Any], top5: list[tuple[str, float]], truth: str | None
) -> list[np.ndarray]:
    """Frames (H, W, 3) uint8 RGB with hands and classes."""
    joints = mask = None
    if results.get("joints") is not None:
        (joints,), (mask,) = results["joints"], results["joints_mask"]  # of one view
        height, width = results["img_shape"]
        joints = joints[..., :2] * np.array([width, height])  # (t, h, j, 2)
    return render_prediction_clip(
        results["imgs"],
        joints,
        mask,
        top5,
        truth,
        results.get("joints_layout") or "openpose21",
    )


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    config = prepare_config(args)
    dataset = build_dataset(config, args.data)
    index = find_clip(dataset, args.index, args.id)
    model = load_model(config, args.checkpoint)
    scores = predict(model, dataset[index], args.task)
    names = dataset.get_classes(args.task)
    best, places = torch.topk(scores, min(5, len(scores)))
    chosen = zip(places.tolist(), best.tolist(), strict=True)
    top5 = [(names[place], probability) for place, probability in chosen]
    label = dataset.get_record(index)["label"].get(args.task)
    truth = None if label is None else names[label]
    results, fps = read_pictures(dataset, index)
    write_clip_video(args.out, draw(results, top5, truth), args.fps or fps)
    print(f"{results['sample_id']}: truth {truth or 'not known'}")
    for name, probability in top5:
        print(f"  {probability:6.1%}  {name}")
    print(f"wrote {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
