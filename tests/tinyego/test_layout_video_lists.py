"""TinyEgo as Something-Something V2 and as Kinetics: files that a list names."""

import csv
import json
from pathlib import Path

import pytest

from mmfusion.datasets.media.index_cache import read_index
from mmfusion.tinyego import CEILINGS, WorldConfig, generate

SMALL = WorldConfig(seed=3, num_train=7, num_val=12, num_test=12, height=72)


@pytest.fixture(scope="module", params=["ssv2", "kinetics"])
def made(request: pytest.FixtureRequest, tmp_path_factory) -> tuple[str, Path]:
    root = tmp_path_factory.mktemp(request.param)
    generate(root, request.param, SMALL)
    return request.param, root


def test_every_video_of_a_list_is_there_and_no_other(made: tuple[str, Path]) -> None:
    layout, root = made
    folder = "20bn-something-something-v2/" if layout == "ssv2" else ""
    split_by = " " if layout == "ssv2" else ","
    named = set()
    for split, count in (("train", 7), ("val", 12), ("test", 12)):
        lines = (root / f"{split}.csv").read_text().splitlines()
        assert len(lines) == count
        named |= {root / (folder + line.rsplit(split_by, 1)[0]) for line in lines}
    ending = "*.webm" if layout == "ssv2" else "*.mp4"
    assert named == set(root.rglob(ending))
    index = read_index(next(iter(named)))
    assert index.size == (72, 128) and 10 <= len(index.times) <= 60
    assert index.duration == pytest.approx(len(index.times) / 30, abs=0.01)


def test_the_official_files_hide_the_labels_of_the_test_split(tmp_path, made) -> None:
    layout, root = made
    if layout == "ssv2":
        train = json.loads((root / "labels/train.json").read_text())
        assert {"id", "label", "template", "placeholders"} == set(train[0])
        classes = json.loads((root / "labels/labels.json").read_text())
        assert classes["Closing something"] == "3"
        test = json.loads((root / "labels/test.json").read_text())
        assert [set(entry) for entry in test] == [{"id"}] * 12
        return
    with open(root / "annotations/train.csv", newline="") as stream:
        row = next(csv.DictReader(stream))
    assert len(row["youtube_id"]) == 11 and row["split"] == "train"
    head = (root / "annotations/test.csv").read_text().splitlines()[0]
    assert head == "youtube_id,time_start,time_end,split"


def test_ceilings_are_the_videos(made: tuple[str, Path]) -> None:
    content = json.loads((made[1] / CEILINGS).read_text())["splits"]["val"]
    assert content["action"]["video"] == content["action"]["both"] == 75.0
    assert content["verb"]["skeleton"] == 25.0  # a guess among four


def test_an_odd_width_is_refused(tmp_path: Path) -> None:
    config = WorldConfig(num_train=1, num_val=0, height=60)
    with pytest.raises(ValueError, match="107 x 60; expected multiples of 4"):
        generate(tmp_path, "ssv2", config)
