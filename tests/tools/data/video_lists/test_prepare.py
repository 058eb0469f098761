"""Lists of Something-Something V2, Kinetics and VideoMamba, right and wrong."""

import json

import pytest

from mmfusion.datasets.multimodal_dataset import MultiModalDataset
from mmfusion.tinyego import WorldConfig, generate
from tools.data.video_lists import prepare

SMALL = WorldConfig(seed=3, num_train=6, num_val=12, num_test=0, height=72)
SSV2_VIDEOS = "20bn-something-something-v2"


@pytest.fixture(scope="module")
def ssv2(tmp_path_factory):
    root = tmp_path_factory.mktemp("ssv2")
    generate(root, "ssv2", SMALL)
    return root


@pytest.fixture(scope="module")
def kinetics(tmp_path_factory):
    root = tmp_path_factory.mktemp("kinetics")
    generate(root, "kinetics", SMALL)
    return root


def run(root, layout, *options):
    return prepare.main(["--layout", layout, "--root", str(root), *options])


def read(root, split="val", **options):
    options = dict(data_root=str(root), split=split, test_mode=True, **options)
    return MultiModalDataset("mmfusion/annotation.json", [], **options)


def of_text(tmp_path, text, *options, layout="path_label", split="train"):
    """The dataset of one list, whose videos are empty files."""
    (tmp_path / "list.csv").write_text(text)
    for name in ("a.mp4", "b.mp4", "a b.mp4", "a,b.mp4", "bbbbbbbbbbb_000002_000012.mp4"):
        (tmp_path / name).touch()
    options = ("--prefix", "", "--drop-missing", *options)
    assert run(tmp_path, layout, "--list", f"{split}=list.csv", *options) == 0
    return read(tmp_path, split)


def labels(dataset):
    return [dataset.get_record(i)["label"]["action"] for i in range(len(dataset))]


def test_the_official_ssv2_files_and_videomambas_say_the_same(ssv2):
    assert run(ssv2, "ssv2") == 0
    official = read(ssv2)
    assert official.get_classes("action")[0] == "Grabbing something"
    options = ("--prefix", SSV2_VIDEOS, "--num-classes", "4")
    assert run(ssv2, "path_label", *options, "--list", "val=val.csv") == 0
    own = read(ssv2, num_classes=dict(action=4))
    assert labels(own) == labels(official) and len(own) == 12
    paths = [[data[i]["video_path"] for i in range(12)] for data in (own, official)]
    assert paths[0] == paths[1] and paths[1][0].endswith(".webm")


def test_the_official_kinetics_files_and_videomambas_say_the_same(kinetics):
    assert run(kinetics, "kinetics") == 0
    official = read(kinetics)
    names = official.get_classes("action")
    assert names[0] == "close chips"  # in alphabetical order
    assert run(kinetics, "kinetics", "--class-file", "annotations/classes.txt") == 0
    assert read(kinetics).metainfo["classes"] == {"action": names}
    assert run(kinetics, "path_label") == 0
    own = read(kinetics)
    assert labels(own) == labels(official)
    assert own[3]["video_path"] == official[3]["video_path"]


def test_another_folder_changes_only_the_paths(ssv2, tmp_path, capsys):
    out = ssv2.parent / "annotations"
    assert run(ssv2, "ssv2", "--out", str(out)) == 0
    text = capsys.readouterr().out
    assert f"data_root='{ssv2.parent}', ann_file='annotations/annotation.json'" in text
    dataset = MultiModalDataset(
        "annotations/annotation.json", [], data_root=str(ssv2.parent), split="val"
    )
    assert dataset.get_record(0)["video"].startswith(f"{ssv2.name}/{SSV2_VIDEOS}/")


def test_missing_videos_are_counted_and_left_out_if_asked(kinetics, tmp_path, capsys):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a.mp4").write_bytes(b"x")
    (tmp_path / "list.csv").write_text("a.mp4 0\nb.mp4 1\n")
    options = ("--list", "val=list.csv", "--prefix", "videos")
    assert run(tmp_path, "path_label", *options) == 1
    text = capsys.readouterr().out
    assert "1 video is not there (videos/b.mp4)" in text and "nothing written" in text
    assert not (tmp_path / "mmfusion").exists()
    assert run(tmp_path, "path_label", *options, "--drop-missing") == 0
    dataset = read(tmp_path)
    assert len(dataset) == 1 and dataset.get_classes("action") == ["0", "1"]
    options = ("--list", "val=list.csv", "--prefix", "elsewhere", "--drop-missing")
    assert run(tmp_path, "path_label", *options) == 1


@pytest.mark.parametrize(
    ("text", "name"),
    [("a b.mp4 3\nc.mp4 0\n", "a b.mp4"), ("a,b.mp4,3\n", "a,b.mp4")]
    + [("a b.mp4\t3\n", "a b.mp4"), ("a.mp4  3\n", "a.mp4")]
    + [("a.mp4\n", "a.mp4")],
    ids=["blank in a path", "comma", "tab", "two blanks", "hidden"],
)
def test_what_stands_after_the_last_separator_is_the_label(tmp_path, text, name):
    dataset = of_text(tmp_path, text, "--num-classes", "4")
    assert len(dataset) == 1
    assert dataset.get_record(0)["video"] == name
    assert dataset.get_record(0)["label"] == ({"action": 3} if "3" in text else {})


@pytest.mark.parametrize(
    ("text", "options", "layout", "message"),
    [
        ("a.mp4 0\nb.mp4 one\n", (), "path_label", r"list.csv:2 is 'b.mp4 one'"),
        ("a.mp4 0\nb.mp4 7\n", ("--num-classes", "4"), "path_label", r"csv:2: .* is 7"),
        ("a.mp4 0\na.mp4 1\n", (), "path_label", r"csv:2: 'a.mp4' stands in .*csv:1"),
        ("a.mp4 0\n", ("--video-name", "{id}.mp4"), "path_label", "video_name is"),
        ("a.mp4 0\n", (), "kinetics", r"csv:1: the header lacks the columns"),
        ("a.mp4 20240115\n", (), "path_label", r"csv:1: the label is 20240115, but no"),
        ("a.mp4 0\nb.mp4 5\n", (), "path_label", r"csv:2: .* 5, .* no clip .* 1;"),
        ("a.mp4 0\nb.mp4\t1\n", (), "path_label", r"csv:2 is .* to the delimiter"),
        ("a.mp4 \uff11\n", (), "path_label", r"csv:1 is .* with a whole number"),
        ("../a.mp4 0\n", (), "path_label", r"csv:1: the video is .* it has '..'"),
        ('[{"id": "1", "placeholders": {}}, 3]', (), "ssv2", "entry 1 is 3; expected"),
        ('[{"id": "1", "placeholders": {"a": 1}}]', (), "ssv2", "entry 0 .*a list of"),
        (
            f"label,youtube_id,time_start,time_end\nx,a,1{'0' * 400},20\n",
            (),
            "kinetics",
            r"csv:2: time_start is '10000",
        ),
        (
            "label,youtube_id,time_start,time_end,split\nx,abc,ten,20,train\n",
            (),
            "kinetics",
            r"csv:2: time_start is 'ten'",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, options, layout, message):
    with pytest.raises(ValueError, match=message):
        of_text(tmp_path, text, *options, layout=layout)


def test_wrong_options_and_missing_lists_are_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(tmp_path, "hmdb")
    assert "invalid choice: 'hmdb'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(tmp_path, "ssv2", "--separator", ",")
    with pytest.raises(FileNotFoundError, match="has none of .*'labels/train.json'"):
        run(tmp_path, "ssv2")


def test_a_kinetics_list_of_all_splits_is_cut(tmp_path):
    text = (
        "label,youtube_id,time_start,time_end,split\n"
        "x,aaaaaaaaaaa,1,11,train\ny,bbbbbbbbbbb,2,12,validate\n"
    )
    (tmp_path / "classes.txt").write_text("x\ny\n")
    named = ("--class-file", "classes.txt")
    dataset = of_text(tmp_path, text, *named, layout="kinetics", split="validate")
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
def test_wrong_ssv2_lists(tmp_path, entries, message):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/labels.json").write_text(json.dumps({"Holding something": "0"}))
    (tmp_path / "labels/train.json").write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=message):
        run(tmp_path, "ssv2")


def test_the_published_classes_of_ssv2_and_kinetics_fit(shared_data, tmp_path):
    published = {"sthv2__label_map": 174, "kinetics__label_map_k400": 400}
    for name, count in published.items():
        file = shared_data / f"label_maps/{name}.txt"
        (tmp_path / "classes.txt").write_bytes(file.read_bytes())
        dataset = of_text(
            tmp_path, f"a.mp4 {count - 1}\n", "--class-file", "classes.txt"
        )
        assert len(dataset.get_classes("action")) == count
