"""The tools of EPIC-KITCHENS-100, on small files and on the real csv."""

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.caches.box_cache import load_box_file
from tests.ek100_files import edit, make_ek100, prepare_ek100, write_csv
from tests.video_files import write_video
from tools.data.ek100 import boxes, prepare, verify


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Official csv files, and a film of ten seconds for each video but P01_01's."""
    folder = make_ek100(tmp_path / "ek100")
    for video in ("P02_101", "P03_02", "P04_103"):
        path = folder / f"videos/{video[:3]}/videos/{video}.MP4"
        path.parent.mkdir(parents=True)
        write_video(path, num_frames=50, size=(32, 32))
    return folder


def test_the_report_says_what_is_there(
    root: Path, capsys: pytest.CaptureFixture
) -> None:
    assert prepare.main(["--root", str(root), "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "ek100: 6 clips" in text
    assert "train: 1 of 2 videos are not there, with 2 clips (videos/P01/vid" in text
    assert "action vocabulary: 4 pairs" in text
    assert "1 occur only in validation, in 1 clips (50.00 %) (take tap)" in text
    assert "val: 1 starts leave no room at tau_a = 1 s (P03_02_0)" in text
    assert not (root / "mmfusion").exists()


def test_the_annotation_has_the_clips_whose_video_is_there(root: Path) -> None:
    assert prepare.main(["--root", str(root)]) == 0
    ann = str(root / "mmfusion/annotation.json")
    dataset = MultiModalDataset(ann, [], data_root=str(root), test_mode=True)
    names = [dataset.get_record(i)["id"] for i in range(len(dataset))]
    assert names == ["P02_101_0", "P03_02_0", "P03_02_1", "P04_103_0"]
    assert dataset.metainfo["action_pairs"] == [[0, 0], [0, 1], [1, 0], [1, 10]]
    assert dataset.metainfo["unseen_participants"] == ["P03", "P04"]
    with open(root / "mmfusion/actions.csv", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[2] == ["1", "0", "1", "take chopping board"]
    assert (root / "mmfusion/verbs.txt").read_text() == "take\nturn on\n"
    assert "noun chopping board" in (root / "mmfusion/prepare.log").read_text()


def test_missing_files_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none is not a folder"):
        prepare.main(["--root", str(tmp_path / "none")])
    (root / "EPIC_100_train.csv").unlink()
    with pytest.raises(FileNotFoundError, match="lacks EPIC_100_train.csv; give"):
        prepare.main(["--root", str(root)])
    write_csv(root / "list.csv", [["P01_01_0", "P01_01", 4, 101, 0, 1, 1]])
    with pytest.raises(FileNotFoundError, match="actions.csv is not a file"):
        prepare.main(["--root", str(root), "--train-list", "list.csv"])


def test_without_any_video_nothing_is_written(tmp_path: Path) -> None:
    root = make_ek100(tmp_path / "bare")
    assert prepare.main(["--root", str(root)]) == 1
    assert not (root / "mmfusion").exists()
    prepare_ek100(root)  # with what is not there
    ann = str(root / "mmfusion/annotation.json")
    assert len(MultiModalDataset(ann, [], split="train")) == 3


def test_verify_names_what_is_wrong(root: Path, capsys: pytest.CaptureFixture) -> None:
    prepare_ek100(root)
    assert verify.main(["--root", str(root)]) == 1
    text = capsys.readouterr().out
    assert "P01_01: cannot read video" in text and "1 faults in train, val, tes" in text
    assert verify.main(["--root", str(root), "--split", "val"]) == 0
    edit(root / "EPIC_100_validation.csv", "00:00:02.45", "00:00:09.45")
    prepare_ek100(root)
    assert verify.main(["--root", str(root), "--split", "val"]) == 1
    text = capsys.readouterr().out
    assert "'P03_02_1' stops at 9.45 s, but P03_02 is shorter than its csv says" in text


def test_verify_knows_chunks_and_draws_boxes(root: Path, tmp_path: Path) -> None:
    folder = root / "chunks/P03/P03_02.MP4"
    folder.mkdir(parents=True)
    for start in (0, 1, 2):
        write_video(folder / f"{start}.MP4", num_frames=10, size=(32, 32))
    rows = [[name, 60, "left hand", 0.25, 0.25, 0.5, 0.5] for name in ("P03_02",)]
    head = ("video_id", "frame", "name", "x1", "y1", "x2", "y2")
    write_csv(tmp_path / "b.csv", [head, *rows])
    assert boxes.main([str(tmp_path / "b.csv"), "--out", str(root / "boxes")]) == 0
    assert load_box_file(str(root / "boxes/P03_02.npz")).names[0] == "left hand"
    media = ["--media", "chunks", "--media-dir", "chunks", "--chunk-seconds", "1"]
    assert prepare.main(["--root", str(root), *media]) == 0
    options = ["--root", str(root), "--split", "val"]
    out = tmp_path / "drawn"
    assert verify.main([*options, "--draw", "2", "--out", str(out)]) == 0
    assert len(list(out.glob("P03_02_*_do_a_thing.png"))) == 2
    (folder / "1.MP4").unlink()
    assert verify.main(options) == 1


def test_boxes_need_a_source(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no \*.pkl"):
        boxes.main([str(tmp_path), "--out", str(tmp_path / "out")])
    (tmp_path / "P01_01.pkl").write_bytes(b"no pickle")
    assert boxes.main([str(tmp_path), "--out", str(tmp_path / "out")]) == 1


@pytest.mark.slow
def test_the_real_splits_are_whole_and_reported(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    flags = ["--out", str(tmp_path), "--train-list", "rulstm/training.csv"]
    prepare_ek100(shared_data / "ek100", *flags)
    text = capsys.readouterr().out
    for line in (
        "train  67217     495            32     97    289",
        "val     9668     138            32     78    211    1065       1760",
        "test   13092      67            20",
        "3806 pairs",
        "3568 occur in training; 238 occur only in validation, in 372 clips (3.85 %)",
    ):
        assert line in text
    path = tmp_path / "annotation.json"
    records = json.loads(path.read_text())["data_list"]
    counts = Counter(record["split"] for record in records)
    assert counts == dict(train=67217, val=9668, test=13092)
    dataset = MultiModalDataset(
        str(path), [], split="val", questions="generic", test_mode=True
    )
    assert len(dataset) == 9668
    assert len(dataset.metainfo["action_pairs"]) == 3806
