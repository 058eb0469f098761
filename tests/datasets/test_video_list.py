"""Lists of Something-Something V2, Kinetics and VideoMamba, right and wrong."""

import json

import pytest

from mmfusion.datasets import VideoListDataset
from mmfusion.tinyego import WorldConfig, generate

SMALL = WorldConfig(seed=3, num_train=6, num_val=12, num_test=0, height=72)


@pytest.fixture(scope="module")
def ssv2(tmp_path_factory):
    root = tmp_path_factory.mktemp("ssv2")
    generate(root, "ssv2", SMALL)
    return str(root)


@pytest.fixture(scope="module")
def kinetics(tmp_path_factory):
    root = tmp_path_factory.mktemp("kinetics")
    generate(root, "kinetics", SMALL)
    return str(root)


def of_ssv2(root, **changes):
    options = dict(
        list_file="labels/validation.json",
        layout="ssv2",
        class_file="labels/labels.json",
        prefix="20bn-something-something-v2",
        split="val",
    )
    return VideoListDataset([], data_root=root, **{**options, **changes})


def of_kinetics(root, **changes):
    options = dict(
        list_file="annotations/val.csv", layout="kinetics", prefix="val", split="val"
    )
    return VideoListDataset([], data_root=root, **{**options, **changes})


def of_text(tmp_path, text, **changes):
    (tmp_path / "list.csv").write_text(text)
    options = dict(list_file="list.csv", split="train")
    return VideoListDataset([], data_root=str(tmp_path), **{**options, **changes})


def labels(dataset):
    return [dataset.get_record(i)["label"]["action"] for i in range(len(dataset))]


def test_the_official_ssv2_files_and_videomambas_say_the_same(ssv2):
    official = of_ssv2(ssv2)
    assert official.get_classes("action")[0] == "Grabbing something"
    own = VideoListDataset(
        [],
        "val.csv",
        data_root=ssv2,
        prefix="20bn-something-something-v2",
        split="val",
        num_classes=dict(action=4),
    )
    assert labels(own) == labels(official) and len(own) == 12
    assert [own[i]["video_path"] for i in range(12)] == [
        official[i]["video_path"] for i in range(12)
    ]
    assert official[0]["video_path"].endswith(".webm")


def test_the_official_kinetics_files_and_videomambas_say_the_same(kinetics):
    official = of_kinetics(kinetics)
    own = VideoListDataset([], "val.csv", data_root=kinetics, split="val")
    assert labels(own) == labels(official)
    assert own[3]["video_path"] == official[3]["video_path"]
    assert official.get_classes("action")[0] == "close chips"  # in alphabetical order
    assert of_kinetics(kinetics, class_file="annotations/classes.txt").metainfo[
        "classes"
    ] == {"action": official.get_classes("action")}


def test_missing_videos_are_counted(kinetics, tmp_path, log_lines):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a.mp4").write_bytes(b"x")
    text = "a.mp4 0\nb.mp4 1\n"
    dataset = of_text(tmp_path, text, prefix="videos", drop_missing=True)
    assert len(dataset) == 1 and dataset.get_classes("action") == ["0", "1"]
    assert any("1 of 2 videos are there" in line for line in log_lines)
    with pytest.raises(ValueError, match="none of its 2 videos is there"):
        of_text(tmp_path, text, prefix="elsewhere", drop_missing=True)


@pytest.mark.parametrize(
    ("text", "count"),
    [("a b.mp4 3\nc.mp4 0\n", 2), ("a,b.mp4,3\n", 1), ("a.mp4\n", 1)],
    ids=["blank in a path", "comma", "hidden"],
)
def test_what_stands_after_the_last_separator_is_the_label(tmp_path, text, count):
    dataset = of_text(tmp_path, text, test_mode=True)
    assert len(dataset) == count
    assert dataset.get_record(0)["video"] in ("a b.mp4", "a,b.mp4", "a.mp4")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a.mp4 0\nb.mp4 one\n", {}, r"list.csv:2 is 'b.mp4 one'"),
        ("a.mp4 0\nb.mp4 7\n", dict(num_classes=dict(action=4)), r"csv:2: .* is 7"),
        ("a.mp4 0\na.mp4 1\n", {}, r"csv:2: 'a.mp4' stands in .*list.csv:1"),
        ("a.mp4 0\n", dict(layout="hmdb"), "layout is 'hmdb'"),
        ("a.mp4 0\n", dict(video_name="{id}.mp4"), "video_name is '{id}.mp4'"),
        ("a.mp4 0\n", dict(layout="kinetics"), r"csv:1 has the columns"),
        (
            "label,youtube_id,time_start,time_end,split\nx,abc,ten,20,train\n",
            dict(layout="kinetics"),
            r"csv:2: time_start is 'ten'",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, options, message):
    with pytest.raises(ValueError, match=message):
        of_text(tmp_path, text, **options)


def test_a_kinetics_list_of_all_splits_is_cut(tmp_path):
    text = (
        "label,youtube_id,time_start,time_end,split\n"
        "x,aaaaaaaaaaa,1,11,train\ny,bbbbbbbbbbb,2,12,validate\n"
    )
    dataset = of_text(tmp_path, text, layout="kinetics", split="validate")
    assert dataset.get_record(0)["video"] == "bbbbbbbbbbb_000002_000012.mp4"
    assert dataset.get_record(0)["label"] == {"action": 1}
    with pytest.raises(ValueError, match="no row of the split 'val'"):
        of_text(tmp_path, text, layout="kinetics", split="val")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            [{"id": "1", "template": "Eating [something]"}],
            "label is 'Eating something'",
        ),
        ([{"template": "x"}], "entry 0 is .* expected an object with 'id'"),
        ({"id": "1"}, "holds a dict; expected a list"),
    ],
)
def test_wrong_ssv2_lists(ssv2, tmp_path, entries, message):
    (tmp_path / "labels.json").write_text(json.dumps({"Holding something": "0"}))
    (tmp_path / "train.json").write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=message):
        of_ssv2(
            str(tmp_path),
            list_file="train.json",
            class_file="labels.json",
            split="train",
        )


def test_the_published_classes_of_ssv2_and_kinetics_fit(shared_data, tmp_path):
    published = {"sthv2__label_map": 174, "kinetics__label_map_k400": 400}
    for name, count in published.items():
        file = shared_data / f"label_maps/{name}.txt"
        (tmp_path / "classes.txt").write_bytes(file.read_bytes())
        dataset = of_text(
            tmp_path,
            f"a.mp4 {count - 1}\n",
            class_file="classes.txt",
            num_classes=dict(action=count),
        )
        assert len(dataset.get_classes("action")) == count
