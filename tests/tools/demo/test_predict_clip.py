"""One clip through the demo, on a small H2O and a model that was not trained."""

from pathlib import Path

import av
import pytest

from mmfusion.engine.runner.checkpoints import save_atomic
from tests.h2o_files import write_h2o
from tools.data.h2o import prepare
from tools.demo import predict_clip

CONFIG = Path(__file__).parents[3] / "configs/demo/cls_mix_average_nano_tinyego.py"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A data root and a checkpoint of the config's model."""
    folder = tmp_path_factory.mktemp("demo")
    root, checkpoint = write_h2o(folder / "h2o"), folder / "best.pth"
    assert prepare.main(["--root", str(root)]) == 0
    args = predict_clip.parse_args([str(CONFIG), "", "--out", "x.mp4"])
    model = predict_clip.MODELS.build(predict_clip.prepare_config(args).model)
    save_atomic({"state_dict": dict(model.state_dict())}, checkpoint)
    return root, checkpoint


def run(files, out, *arguments):
    root, checkpoint = files
    return predict_clip.main(
        [str(CONFIG), str(checkpoint), "--data", str(root), "--out", str(out)]
        + list(arguments)
    )


def test_writes_every_frame_of_the_clip_and_names_five_classes(files, tmp_path, capsys):
    out = tmp_path / "new folder" / "clip.mp4"
    assert run(files, out, "--fps", "6") == 0
    with av.open(str(out)) as container:
        assert container.streams.video[0].average_rate == 6
        assert len(list(container.decode(video=0))) == 8  # frames 1 to 8
    shown = capsys.readouterr().out
    assert shown.startswith("subject3/k2/0#1: truth ")
    assert shown.count("%") == 5


def test_the_hands_are_drawn_where_the_camera_sees_them(files):
    root, _ = files
    args = predict_clip.parse_args([str(CONFIG), "", "--out", "x.mp4"])
    config = predict_clip.prepare_config(args)
    dataset = predict_clip.build_dataset(config, str(root))
    results, fps = predict_clip.read_pictures(dataset, 0)
    assert fps == 30 and len(results["imgs"]) == 8
    # joint j of frame f: x = j / 100, y = f / 100, z = 0.5; 640 of 1280 and 630 of 720
    joints = results["joints"][0]  # (t, h, j, 3)
    assert joints[2, 0, 10, 0] == pytest.approx(0.5 + 0.1 / 0.5 * 640 / 1280)
    assert joints[2, 1, 10, 1] == pytest.approx(0.5 + 0.03 / 0.5 * 630 / 720)
    plain = predict_clip.draw({**results, "joints": None}, [("a", 0.5)], "a")
    drawn = predict_clip.draw(results, [("a", 0.5)], "a")
    assert (plain[0] != drawn[0]).any()


@pytest.mark.parametrize(
    ("arguments", "code", "match"),
    [
        (["--index", "9"], 2, "--index is 9, expected 0 to 0"),
        (["--id", "nobody"], 2, "--id 'nobody' is none of the 1 test clips"),
        (["--task", "noun"], 2, "--task is 'noun'"),
        (["--cfg-options", "model.heads.action.num_classes=5"], 3, "does not fit"),
    ],
    ids=["index", "id", "task", "other-model"],
)
def test_what_is_wrong_is_named(files, tmp_path, capsys, arguments, code, match):
    assert run(files, tmp_path / "clip.mp4", *arguments) == code
    assert match in capsys.readouterr().err
    assert not (tmp_path / "clip.mp4").exists()
