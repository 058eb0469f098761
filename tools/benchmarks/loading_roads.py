"""The roads from a video file to a batch: ours, MMAction2's and torchcodec's.

Each samples the same frames (the middle of each of n segments of a clip), crops,
resizes and flips with the same transforms, and stacks clips of (1, 3, n, s, s) uint8.
"""

import importlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loading_films import CHUNK_SECONDS, Film, annotate
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import mmfusion.models  # noqa: F401  registers what MMAction2 has
from mmfusion.datasets import MultiModalDataset, fusion_collate
from mmfusion.datasets.media import index_cache
from mmfusion.datasets.transforms import DecodeVideo, PackInputs, SampleSegments
from mmfusion.registry import TRANSFORMS

Transform = Callable[[dict], dict]
Clips = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Plan:
    """Contents of a batch: ``batch`` clips of ``frames`` of ``size`` px."""

    frames: int = 8
    size: int = 224
    batch: int = 4
    workers: int = 0


@dataclass(frozen=True)
class Road:
    """One way to load clips.

    Attributes:
        name: in tables. read: transforms that sample and decode, for a plan.
        pack: transforms that end the pipeline. ours: by our dataset.
    """

    name: str
    read: Callable[[Plan], list[Transform]]
    pack: Callable[[], list[Transform]]
    ours: bool = False

    def transforms(self, plan: Plan) -> list[Transform]:
        return [*self.read(plan), *see(plan), *self.pack()]

    def loader(self, film: Film, clips: Clips, plan: Plan) -> DataLoader:
        """A loader whose epochs give each clip once."""
        dataset: Dataset
        if self.ours:
            dataset = _our_dataset(film, clips, self.transforms(plan))
        else:
            starts = [start_of(film, clip) for clip in clips]
            dataset = _Files(starts, self.transforms(plan))
        return DataLoader(
            dataset,
            batch_size=plan.batch,
            num_workers=plan.workers,
            persistent_workers=plan.workers > 0,
            collate_fn=fusion_collate if self.ours else _stack,
        )


def start_of(film: Film, clip: tuple[int, int]) -> dict[str, Any]:
    """First results of a pipeline, by our names and MMAction2's."""
    first, count = clip
    chunked = film.path != film.file
    return dict(
        sample_id=f"{film.name} {first}",
        filename=str(film.file),
        video_path=str(film.path if chunked else film.file),
        extra={"chunk_seconds": CHUNK_SECONDS} if chunked else None,
        index_fps=film.fps if chunked else None,
        start_sec=first / film.fps,
        end_sec=(first + count) / film.fps,
        start_index=first,
        window=count,
        modality="RGB",
        label={"action": 0},
    )


def see(plan: Plan) -> list[Transform]:
    """The crop of a part of the picture, its size, its flip."""
    crop = dict(type="mmaction.RandomResizedCrop", area_range=(0.08, 1.0))
    size = dict(type="mmaction.Resize", scale=(plan.size, plan.size), keep_ratio=False)
    return [_build(crop), _build(size), _build(dict(type="mmaction.Flip"))]


def roads() -> tuple[list[Road], dict[str, str]]:
    """Roads that can be taken here, and why the others cannot."""
    ours = partial(Road, pack=_our_end, ours=True)
    found = [
        ours("ours", partial(_our_reading, "pyav")),
        ours("ours, each video new", partial(_our_reading, "pyav", forget=True)),
    ]
    absent: dict[str, str] = {}
    try:
        importlib.import_module("decord")
        found.append(ours("ours by decord", partial(_our_reading, "decord")))
        found.append(Road("MMAction2", _mmaction_reading, _mmaction_end))
    except ImportError as error:
        absent["MMAction2"] = f"decord: {error}"
    try:
        importlib.import_module("torchcodec.decoders")
        found.append(Road("torchcodec", _torchcodec_reading, _mmaction_end))
    except (ImportError, OSError, RuntimeError) as error:
        absent["torchcodec"] = str(error).strip().splitlines()[0]
    return found, absent


def frames_of(road: Road, film: Film, clip: tuple[int, int], plan: Plan) -> np.ndarray:
    """Decoded frames (n, h, w, 3), before any is cropped."""
    results = start_of(film, clip)
    for transform in road.read(plan):
        results = transform(results)
    return np.stack(results["imgs"])


def _build(config: dict) -> Transform:
    return TRANSFORMS.build(config)


def _our_reading(backend: str, plan: Plan, forget: bool = False) -> list[Transform]:
    sample = SampleSegments(plan.frames, rule="floored", mode="uniform")
    first = [_forget_videos] if forget else []
    return [*first, sample, DecodeVideo(backend=backend)]


def _forget_videos(results: dict) -> dict:
    """Let each clip be the first of its video, as in a set of many videos."""
    index_cache.memory.clear()
    return results


def _our_end() -> list[Transform]:
    return [PackInputs(streams=("video",))]


def _our_dataset(
    film: Film, clips: Clips, transforms: list[Transform]
) -> MultiModalDataset:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "annotation.json")
        annotate(file, film, clips)
        dataset = MultiModalDataset(str(file), [], data_root=str(film.path.parent))
    dataset.pipeline = transforms
    return dataset


def _mmaction_reading(plan: Plan) -> list[Transform]:
    sample = dict(
        type="mmaction.SampleFrames",
        clip_len=1,
        frame_interval=1,
        num_clips=plan.frames,
        test_mode=True,
    )
    return [
        _build(dict(type="mmaction.DecordInit")),
        _narrow,
        _build(sample),
        _build(dict(type="mmaction.DecordDecode")),
    ]


def _narrow(results: dict) -> dict:
    """MMAction2's lists name whole videos: let it sample a part of one."""
    results["total_frames"] = results["window"]
    return results


def _mmaction_end() -> list[Transform]:
    return [
        _as_one_clip,
        _build(dict(type="mmaction.FormatShape", input_format="NCTHW")),
    ]


def _as_one_clip(results: dict) -> dict:
    """The frames are n clips of one frame to SampleFrames, and one clip to a model."""
    results["num_clips"], results["clip_len"] = 1, len(results["imgs"])
    return results


def _torchcodec_reading(plan: Plan) -> list[Transform]:
    reading = _mmaction_reading(plan)
    return [_narrow, reading[2], _decode_by_torchcodec]


def _decode_by_torchcodec(results: dict) -> dict:
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(
        results["filename"],
        num_ffmpeg_threads=1,
        dimension_order="NHWC",
        seek_mode="approximate",  # by the head of the file, as fast as it can
    )
    frames = decoder.get_frames_at(results["frame_inds"].tolist()).data
    results["imgs"] = list(frames.numpy())
    results["original_shape"] = results["img_shape"] = results["imgs"][0].shape[:2]
    return results


class _Files(Dataset):
    """Clips by the starts of a pipeline, and that pipeline."""

    def __init__(self, starts: list[dict], transforms: list[Transform]) -> None:
        self._starts, self._transforms = starts, transforms

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, number: int) -> Tensor:
        results = dict(self._starts[number])
        for transform in self._transforms:
            results = transform(results)
        return torch.from_numpy(np.ascontiguousarray(results["imgs"]))


def _stack(batch: Sequence[Tensor]) -> Mapping[str, Mapping[str, Tensor]]:
    return {"inputs": {"video": torch.utils.data.default_collate(list(batch))}}
