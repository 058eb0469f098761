"""From folders and lists of videos to an annotation that the dataset reads."""

import os
import re
import shutil
from pathlib import Path

import av
import pytest

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.annotation import load_annotation
from tests.tools.command import run_tool
from tests.video_files import write_silence, write_video


def run(*options: object):
    return run_tool("data/custom/prepare", *options)


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Two classes of three videos of 1.2 s at 10 frames a second."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "wave").mkdir()
    (folder / "point").mkdir()
    first = write_video(folder / "wave/0.mp4", size=(32, 32))
    for name in ("wave/1", "wave/2", "point/0", "point/1", "point/\u00fc 2"):
        (folder / f"{name}.mp4").write_bytes(first.read_bytes())
    return folder


def test_a_folder_for_each_class(videos, tmp_path):
    done = run(videos, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "splits: class by class, seed 0" in done.stdout
    assert "videos by frames a second: 6 x 10" in done.stdout
    assert "no landmarks: no skeleton stream; tools/data/hands/extract" in done.stdout
    assert "look at 4 clips" in done.stdout and (tmp_path / "out/sheet.jpg").is_file()
    root = tmp_path / "out"
    assert f"data_root={str(root)!r}, ann_file='annotation.json'" in done.stdout
    metainfo, records = load_annotation(str(tmp_path / "out/annotation.json"))
    assert metainfo["classes"] == {"action": ["point", "wave"]}
    assert [r["label"]["action"] for r in records] == [0, 0, 0, 1, 1, 1]
    assert sorted(r["split"] for r in records) == ["test"] * 2 + ["train"] * 2 + [
        "val"
    ] * 2
    pipeline = [
        {"type": "SampleTimes", "num_frames": {"video": 2}},
        {"type": "DecodeVideo"},
    ]
    dataset = MultiModalDataset(
        "annotation.json", pipeline, data_root=str(root), split="train"
    )
    assert len(dataset[0]["imgs"]) == 2


def test_parts_of_videos_in_a_list(videos, tmp_path):
    lines = ["video,label,start,end,subject"]
    for number, name in enumerate(["wave/0", "wave/1", "point/0", "point/1"]):
        who, label = f"p{number % 2}", "ab"[number % 2]
        lines += [f"{name}.mp4,{label},,0.5,{who}", f"{name}.mp4,c,0.5,,{who}"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    options = ("--clips", tmp_path / "list.csv", "--out", tmp_path / "out")
    done = run(videos, *options, "--test-fraction", "0.5", "--val-fraction", 0)
    assert done.returncode == 0, done.stderr
    _, records = load_annotation(str(tmp_path / "out/annotation.json"))
    assert records[0]["id"] == "wave/0.mp4#0-0.5"
    assert (records[1]["start_sec"], round(records[1]["end_sec"], 3)) == (0.5, 1.2)
    by_group = {record["group"]: set() for record in records}
    for record in records:
        by_group[record["group"]].add((record["split"], record["extra"]["subject"]))
    assert all(len(found) == 1 for found in by_group.values())


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("wave/9.mp4,x,,", "csv:2: .*wave/9.mp4.*does not exist"),
        ("wave/0.mp4,x,,9", "csv:2: it ends at 9 s and its video at 1.2 s"),
        ("wave/0.mp4,x,2,", "csv:2: it starts at 2 s and its video ends at 1.2 s"),
        ("broken.mp4,x,,", "csv:2: .*broken.mp4.*the file is empty"),
        ("sound.mp4,x,,", "csv:2: .*sound.mp4.*no video stream"),
        ("text.mp4,x,,", "csv:2: .*text.mp4.*[Ii]nvalid data"),
    ],
)
def test_a_faulty_video_is_named_with_its_row(videos, tmp_path, rows, message):
    folder = tmp_path / "own"
    folder.mkdir()
    os.symlink(videos / "wave", folder / "wave")
    (folder / "broken.mp4").write_bytes(b"")
    (folder / "text.mp4").write_bytes(b"not a video" * 99)
    with av.open(str(folder / "sound.mp4"), "w") as container:
        write_silence(container, container.add_stream("aac", rate=8000))
    (folder / "clips.csv").write_text(
        f"video,label,start,end\n{rows}\nwave/0.mp4,x,0,1\nwave/1.mp4,x,,\n"
    )
    done = run(folder, "--out", tmp_path / "out")
    assert done.returncode == 1 and not (tmp_path / "out").exists()
    (line,) = [one for one in done.stdout.splitlines() if one.startswith("  /")]
    assert re.search(message, line)
    assert "--drop-faulty" in done.stdout
    done = run(folder, "--out", tmp_path / "out", "--drop-faulty")
    assert done.returncode == 0
    assert len(load_annotation(str(tmp_path / "out/annotation.json"))[1]) == 2


def test_clips_without_labels_are_for_prediction(videos, tmp_path):
    (tmp_path / "list.csv").write_text("video\nwave/0.mp4\n")
    options = ("--clips", tmp_path / "list.csv", "--out", tmp_path / "out")
    refused = run(videos, *options)
    assert refused.returncode == 2 and "csv:2: no label" in refused.stderr
    done = run(videos, *options, "--no-labels")
    assert done.returncode == 0 and "predicted only" in done.stdout
    metainfo, records = load_annotation(str(tmp_path / "out/annotation.json"))
    assert metainfo["classes"] == {} and records[0]["split"] == "test"


def test_another_set_is_not_replaced_silently(videos, tmp_path):
    out = ("--out", tmp_path / "out")
    assert run(videos, *out, "--name", "first").returncode == 0
    refused = run(videos, *out, "--name", "second")
    assert refused.returncode == 2
    assert "the annotation of 'first'; expected none" in refused.stderr
    assert run(videos, *out, "--name", "second", "--overwrite").returncode == 0
    again = run(videos, *out, "--name", "second")
    assert "replaced: an annotation of 6 clips" in (tmp_path / "out/prepare.log").read_text()
    assert again.returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seed", -1), "--seed: '-1', expected a number of 0 to"),
        (("--seed", "9" * 5000), "expected a number of 0 to"),
        (("--wrist", -1), "wrist has joint -1"),
        (("--layout", "medipipe"), "did you mean 'mediapipe'"),
        (("--skeletons", "a,a"), "skeletons are .*a name of its own"),
        (("--joints", "a,,b"), "joints has the name ''"),
        (("--joints", "a,a"), "joints has the name 'a' twice"),
        (("--joints", "9" * 5000), "joints; expected 1..1024"),
        (("--min-confidence", "nan"), "min_confidence is nan"),
        (("--min-confidence", 5), "min_confidence is 5.0"),
    ],
)
def test_options_are_checked_where_nothing_uses_them(videos, tmp_path, options, message):
    done = run(videos, "--out", tmp_path / "out", "--dry-run", *options)
    assert done.returncode in (1, 2) and re.search(message, done.stderr)
    assert "Traceback" not in done.stderr


def test_a_set_of_one_class_is_warned_of(videos, tmp_path):
    shutil.copytree(videos / "wave", tmp_path / "own/wave")
    done = run(tmp_path / "own", "--out", tmp_path / "out", "--dry-run")
    assert done.returncode == 0
    assert "warning: all clips are of one class, 'wave'" in done.stdout


def test_dry_run_writes_nothing(videos, tmp_path):
    assert run(videos, "--out", tmp_path / "out", "--dry-run").returncode == 0
    assert not (tmp_path / "out").exists()


def test_videos_inside_the_data_set_stay_where_they_are(videos, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(videos, own)
    for _ in range(2):
        assert run(own).returncode == 0
    found = load_annotation(str(own / "annotation.json"))[1]
    assert found[0]["video"] == "point/0.mp4" and not (own / "videos").exists()
    assert run(own, "--out", own / "out").returncode == 0
    assert (own / "out/videos/wave/0.mp4").samefile(own / "wave/0.mp4")
    assert run(own, "--out", own / "out").returncode == 0


def test_an_annotation_for_each_fold(videos, tmp_path):
    lines = ["video,label,scene,fold,val_of"]
    for number in range(3):
        val = " ".join(str(fold) for fold in range(3) if fold != number)
        lines += [
            f"wave/{number}.mp4,wave,s{number},{number},{val if number else ''}",
            f"point/{'ü 2' if number == 2 else number}.mp4,point,s{number},{number},",
        ]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    options = ("--clips", tmp_path / "list.csv", "--out", tmp_path / "out")
    done = run(videos, *options, "--folds", 3)
    assert done.returncode == 0, done.stderr
    assert "3 folds as given: no scene in test is seen in training" in done.stdout
    assert "fold 0: 2 train, 2 val, 2 test" in done.stdout
    assert "ann_file='fold0.json'" in done.stdout
    assert not (tmp_path / "out/annotation.json").exists()
    _, records = load_annotation(str(tmp_path / "out/fold1.json"))
    found = [(record["split"], record["extra"]) for record in records]
    scenes = [{"scene": f"s{n // 2}"} for n in range(6)]
    sides = ["train", "train", "test", "test", "val", "train"]
    assert found == list(zip(sides, scenes, strict=True))
    wrong = run(videos, *options, "--folds", 2)
    assert wrong.returncode == 2 and "fold 2; expected 0 to 1" in wrong.stderr
    plain = run(videos, *options[:2], "--out", tmp_path / "plain", "--dry-run")
    assert "the column fold is not read without --folds" in plain.stdout
    assert run(videos, "--folds", 2, "--no-labels").returncode == 2
