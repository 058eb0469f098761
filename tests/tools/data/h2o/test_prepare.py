"""The H2O converter: its report, its files, resuming, and faults."""

import json
import shutil

import numpy as np
import pytest
from mmengine.config import Config

from mmfusion.datasets.annotation import load_annotation
from mmfusion.datasets.multimodal_dataset import MultiModalDataset
from mmfusion.registry import DATASETS
from mmfusion.utils.errors import AnnotationError
from tests.h2o_files import write_h2o
from tools.data.h2o import prepare


def run(root, *options: str) -> int:
    return prepare.main(["--root", str(root), *options])


@pytest.fixture
def root(tmp_path):
    return write_h2o(tmp_path / "h2o")


def test_dry_run_reports_and_writes_nothing(root, capsys):
    before = sorted(root.rglob("*"))
    assert run(root, "--dry-run") == 0
    assert sorted(root.rglob("*")) == before
    text = capsys.readouterr().out
    assert "h2o: 5 clips" in text
    assert "train      3          2      19           6/6/7         3" in text
    assert "test       1          1      10        10/10/10         0" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["class", "train", "val"] in lines  # the test labels are hidden
    assert ["place", "cappuccino", "1", "0"] in lines
    assert "clamped ends: 1 (subject1/h1/1#3 9 -> 8)" in text
    assert "frames without a file: 2 (subject1/h1/1 rgb256 1, subject1/h1/1" in text
    assert "hand valid, left: 100.00 % of 41 frames" in text
    assert "hand valid, right: 90.24 % of 41 frames" in text
    assert "dropped clips: 0" in text


def test_writes_annotation_caches_and_log(root):
    assert run(root) == 0
    out = root / "mmfusion"
    metainfo, records = load_annotation(str(out / "annotation.json"))
    assert len(metainfo["classes"]["action"]) == 36
    assert [record["id"] for record in records][:2] == [
        "subject1/h1/0#1",
        "subject1/h1/0#2",
    ]
    val = records[3]
    assert val["frame_dir"] == "subject_3/k2/0/cam4/rgb"
    assert val["filename_tmpl"] == "{:06d}.png"
    assert val["skeleton"] == {"file": "mmfusion/skeleton/subject3_k2_0.npz"}
    assert val["label"] == {"action": 35, "verb": 10, "noun": 2}
    assert records[4]["label"] == {}
    with np.load(root / val["skeleton"]["file"]) as cache:
        assert cache["keypoint"].shape == (10, 2, 21, 3)
        assert cache["valid"].tolist()[:3] == [[True, True], [True, False], [True] * 2]
        assert cache["frame_id"].tolist() == list(range(10))
        assert (cache["fps"], str(cache["sequence"])) == (30, "subject3/k2/0")
    assert "clamped ends: 1" in (out / "prepare.log").read_text()


def test_second_run_keeps_whole_caches_and_replaces_broken_ones(root, capsys):
    run(root)
    whole = root / "mmfusion/skeleton/subject1_h1_0.npz"
    broken = root / "mmfusion/skeleton/subject4_o1_0.npz"
    stamp, content = whole.stat().st_mtime_ns, broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    annotation = (root / "mmfusion/annotation.json").read_bytes()
    left = root / "mmfusion/skeleton/.subject1_h1_1.npz.abc.tmp"  # of a killed run
    left.write_bytes(b"half")
    run(root)
    assert not left.exists()
    assert "skeleton caches at hand: 3" in capsys.readouterr().out
    assert whole.stat().st_mtime_ns == stamp
    assert broken.read_bytes() == content
    assert (root / "mmfusion/annotation.json").read_bytes() == annotation


def test_workers_and_another_folder_give_the_same(root, tmp_path):
    run(root, "--splits", "train")
    run(root, "--splits", "train", "--out", str(tmp_path / "ann"), "--workers", "2")
    one = json.loads((root / "mmfusion/annotation.json").read_text())
    two = json.loads((tmp_path / "ann/annotation.json").read_text())
    assert two["data_list"][0]["frame_dir"] == "h2o/subject1_ego/h1/0/cam4/rgb256"
    assert two["data_list"][0]["skeleton"]["file"] == "ann/skeleton/subject1_h1_0.npz"
    assert len(one["data_list"]) == len(two["data_list"]) == 3


def test_faulty_file_stops_before_writing_unless_told(root, capsys):
    bad = root / "subject1_ego/h1/0/cam4/hand_pose/000004.txt"
    bad.write_text(" ".join(["1"] * 126))
    assert run(root) == 1
    text = capsys.readouterr().out
    assert "000004.txt" in text and "126 numbers, expected 128" in text
    assert not (root / "mmfusion").exists()
    assert run(root, "--drop-faulty") == 0
    assert "dropped clips: 2" in capsys.readouterr().out
    _, records = load_annotation(str(root / "mmfusion/annotation.json"))
    assert [record["group"] for record in records] == [
        "subject1/h1/1",
        "subject3/k2/0",
        "subject4/o1/0",
    ]


def test_missing_sequence_drops_its_clips_with_the_reason(root, capsys):
    (root / "subject_3").rename(root / "other")
    assert run(root, "--dry-run") == 0
    text = capsys.readouterr().out
    assert "  1 sequence is not there (subject3/k2/0#1)" in text


def test_missing_roots_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        run(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"action_train\.txt .* is missing"):
        run(tmp_path)


def read(root, split, **options):
    return MultiModalDataset(
        "mmfusion/annotation.json", [], data_root=str(root), split=split, **options
    )


def test_dataset_reads_what_the_converter_wrote(root):
    run(root)
    dataset = read(root, "train")
    results = dataset[2]
    assert len(dataset) == 3
    assert results["frame_dir_path"] == str(root / "subject1_ego/h1/1/cam4/rgb256")
    assert results["skeleton_path"] == str(root / "mmfusion/skeleton/subject1_h1_1.npz")
    assert (results["start_frame"], results["end_frame"]) == (2, 8)


def test_missing_annotation_names_the_command(root):
    config = Config.fromfile("configs/_base_/datasets/h2o.py").val_dataloader.dataset
    config.update(data_root=str(root), pipeline=[])
    command = f"tools/data/h2o/prepare.py --root {root}$"
    with pytest.raises(AnnotationError, match=command):
        DATASETS.build(config)
    run(root)
    assert len(DATASETS.build(config)) == 1


def test_without_poses_there_is_no_skeleton(root):
    shutil.rmtree(root / "subject_3/k2/0/cam4/hand_pose")
    run(root)
    assert read(root, "val").get_record(0)["skeleton"] is None
    with pytest.raises(ValueError, match=r"dropped by require=\['skeleton'\]"):
        read(root, "val", require=["skeleton"])


def test_without_images_there_are_only_hands(root):
    shutil.rmtree(root / "subject1_ego/h1/1/cam4/rgb256")
    run(root)
    assert read(root, "train").get_record(2)["frame_dir"] is None
    assert len(read(root, "train", require=["video"])) == 2


def test_hidden_test_labels_need_test_mode(root):
    run(root)
    with pytest.raises(ValueError, match="no label for 'action'"):
        read(root, "test", num_classes={"action": 36})
    assert len(read(root, "test", num_classes={"action": 36}, test_mode=True)) == 1
