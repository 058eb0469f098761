"""A warning where a pipeline takes the path of hands away."""

import json

import pytest

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.transforms import NormalizeSkeleton
from mmfusion.engine.launch import completion


def dataset_of(folder, skeleton, mode) -> MultiModalDataset:
    times = dict(start_sec=0.0, end_sec=1.0)
    data = dict(skeleton={"file": "a.npz"})
    record = dict(id="a", split="train", label={"action": 0}, **data, **times)
    metainfo = dict(
        version=1, dataset="own", classes={"action": ["up"]}, skeleton=skeleton
    )
    annotation = dict(metainfo=metainfo, data_list=[record])
    (folder / "ann.json").write_text(json.dumps(annotation))
    return MultiModalDataset(
        "ann.json",
        [dict(type=NormalizeSkeleton, mode=mode)],
        data_root=str(folder),
    )


@pytest.mark.parametrize(
    ("unit", "frame", "mode", "count"),
    [
        ("image", "image", "wrist", 1),
        ("px", "image", "wrist", 1),
        ("image", "image", "size", 0),
        ("m", "camera", "wrist", 0),  # shapes in metres are TinyEgo's
    ],
)
def test_lost_path_is_told(tmp_path, monkeypatch, unit, frame, mode, count):
    told = []
    monkeypatch.setattr(completion, "print_log", lambda text, *_: told.append(text))
    skeleton = dict(layout="mediapipe", hands=["hand"], unit=unit, frame=frame)
    completion.tell_lost_path(dataset_of(tmp_path, skeleton, mode))
    assert len(told) == count
    assert all("mode='size' or 'first_wrist'" in text for text in told)


def test_other_datasets_are_left_alone():
    completion.tell_lost_path([])
