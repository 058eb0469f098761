"""A list of clips: every way to write it down, and one line for each slip in it."""

import os
from pathlib import Path

import pytest

from mmfusion.layouts.clip_list import (
    check_rows,
    classes_of,
    list_clip_folders,
    read_clip_list,
)
from mmfusion.utils.errors import MMFusionError

VIDEOS, LANDMARKS = (".mp4", ".mov"), (".npz", ".csv")
HEAD = "video,label,start,end,split,subject,hands\n"


def listed(folder: Path, text: str | bytes) -> Path:
    path = folder / "clips.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "a/1.mp4,wave,0.5,2,train,anna,\n",
        "\ufeff" + HEAD + "a/1.mp4,wave,0.5,2,train,anna,\n",
        HEAD.replace(",", ";") + "a/1.mp4;wave;0,5;2;train;anna;\n;;;;;;\n",
        HEAD.replace(",", "\t") + "a/1.mp4\twave\t0.5\t2\ttrain\tanna\t\n",
        "Subject,Video,Split,End,Start,Label\r\nanna,a/1.mp4,train,2.,0.50,wave\r\n",
    ],
    ids=["comma", "byte-order-mark", "semicolon", "tab", "other-order"],
)
def test_a_list_is_read_as_people_write_it(tmp_path, text):
    (row,) = read_clip_list(listed(tmp_path, text)).rows
    assert row.place == f"{tmp_path}/clips.csv:2"
    assert (row.video, row.label, row.start, row.end) == ("a/1.mp4", "wave", 0.5, 2.0)
    assert (row.split, row.subject, row.hands) == ("train", "anna", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "clips.csv is empty"),
        (HEAD, "has a header only"),
        (
            "video,lable\na.mp4,x\n",
            "csv:1: the header has 'lable'; did you mean 'label'",
        ),
        ("file,label\na.mp4,x\n", "csv:1: the header is .*expected a column 'video'"),
        ("video,video\na.mp4,x\n", "the column 'video' is there twice"),
        ("video,label\na.mp4\n", "csv:2: 1 columns; expected 2"),
        ("video,label\n,x\n", "csv:2: no video"),
        ("video,label\n/a.mp4,x\n", "csv:2: video is '/a.mp4': it is absolute"),
        ("video,label\n../a.mp4,x\n", r"csv:2: video is '../a.mp4': it has '\.\.'"),
        ("video,label\nhttp://a/b.mp4,x\n", "csv:2: .*begins like a URL"),
        (HEAD + "a.mp4,x,soon,,,,\n", "csv:2: start is 'soon'; expected seconds"),
        (HEAD + "a.mp4,x,-1,,,,\n", "csv:2: start is '-1'"),
        (HEAD + "a.mp4,x,1,nan,,,\n", "csv:2: end is 'nan'"),
        (HEAD + "a.mp4,x,3,2,,,\n", "csv:2: end is 2 and start 3"),
        (HEAD + "a.mp4,x,,,Training,,\n", "csv:2: split is 'Training'.*did you mean"),
        ("video,label\na.mp4,caf\u00e9\n".encode("latin-1"), "csv:2: byte .*iconv"),
        (b"video,label\n\0.mp4,x\n", "csv:2: it has a NUL"),
    ],
)
def test_a_slip_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(MMFusionError, match=message):
        read_clip_list(listed(tmp_path, text))


def test_what_nothing_reads_is_told(tmp_path):
    found = read_clip_list(listed(tmp_path, "video,label,notes\na.mp4,x,dark\n"))
    assert found.unread == ["notes"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.mp4,x,,\nb.mp4,,,\n", "csv:3: no label"),
        (
            "a.mp4,x,,\na.mp4,y,0,\n",
            "csv:3: the same clip of 'a.mp4' stands in .*csv:2",
        ),
    ],
)
def test_a_clip_has_a_label_and_comes_once(tmp_path, text, message):
    rows = read_clip_list(listed(tmp_path, "video,label,start,end\n" + text)).rows
    with pytest.raises(MMFusionError, match=message):
        check_rows(rows, with_labels=True)


def test_two_spellings_of_a_class_are_refused(tmp_path):
    rows = read_clip_list(
        listed(tmp_path, "video,label\na.mp4,Wave\nb.mp4,wave\n")
    ).rows
    with pytest.raises(MMFusionError, match="also written 'Wave'"):
        classes_of(rows)


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_a_folder_is_a_class(tmp_path):
    touch(tmp_path, "wave/anna/1.MP4", "wave/2.mov", "point/1.mp4", "point/notes.txt")
    touch(tmp_path, "skeleton/1.npz", ".git/1.mp4", "point/\u00fc.mp4")
    rows = list_clip_folders(tmp_path, VIDEOS, LANDMARKS).rows
    found = {row.video: row.label for row in rows}
    assert found == {
        "point/1.mp4": "point",
        "point/\u00fc.mp4": "point",
        "wave/2.mov": "wave",
        "wave/anna/1.MP4": "wave",
    }
    assert classes_of(rows) == ["point", "wave"]


def test_folders_of_splits_hold_the_classes(tmp_path):
    touch(tmp_path, "train/wave/1.mp4", "test/wave/1.mp4")
    rows = list_clip_folders(tmp_path, VIDEOS, LANDMARKS).rows
    assert [(r.split, r.label) for r in rows] == [("test", "wave"), ("train", "wave")]


def test_landmarks_alone_are_clips_too(tmp_path):
    touch(tmp_path, "wave/1.npz", "point/1.csv", "skeleton/1.npz")
    found = list_clip_folders(
        tmp_path, VIDEOS, LANDMARKS, leave_out=[tmp_path / "skeleton"]
    )
    assert [(row.video, row.hands) for row in found.rows] == [
        (None, "point/1.csv"),
        (None, "wave/1.npz"),
    ]


def test_a_link_to_a_folder_is_followed_once(tmp_path):
    touch(tmp_path / "far", "1.mp4")
    touch(tmp_path / "own", "point/1.mp4")
    os.symlink(tmp_path / "far", tmp_path / "own/wave")
    os.symlink(tmp_path / "own", tmp_path / "own/point/up")
    rows = list_clip_folders(tmp_path / "own", VIDEOS, LANDMARKS).rows
    assert [row.video for row in rows] == ["point/1.mp4", "wave/1.mp4"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "neither clips.csv nor a video"),
        (("1.mp4", "wave/2.mp4"), "1.mp4' lies in no class's folder"),
        (("wave/a:b.mp4", "a:/1.mp4"), "begins like a URL.*rename it"),
    ],
)
def test_a_wrong_folder_is_one_line(tmp_path, names, message):
    with pytest.raises(MMFusionError, match=message):
        list_clip_folders(touch(tmp_path, *names), VIDEOS, LANDMARKS)
