"""verify: pictures of hands over RGB, through the readers of training."""

import cv2
import numpy as np

from mmfusion.visualization.hands import HAND_COLOURS
from tests.configs.custom_files import BODY15, write_custom
from tests.h2o_files import write_h2o
from tests.oakink2_files import write_oakink2
from tools.data import verify
from tools.data.h2o import prepare as prepare_h2o
from tools.data.oakink2 import prepare as prepare_oakink2

BAR = 26  # pixels of the legend above a picture


def run(root, out, *options: str) -> None:
    annotation = str(root / "mmfusion/annotation.json")
    verify.main([annotation, "--data-root", str(root), "--out", str(out), *options])


def test_h2o_hands_are_drawn_where_the_camera_sees_them(tmp_path, capsys):
    root = write_h2o(tmp_path / "h2o")
    prepare_h2o.main(["--root", str(root)])
    run(root, tmp_path / "out", "--split", "train", "--num", "2", "--frames", "2")
    paths = sorted((tmp_path / "out").iterdir())
    assert len(paths) == 2 and paths[0].suffix == ".png"
    assert capsys.readouterr().out.count("100.0 % of valid joints inside") == 2
    picture = cv2.imread(str(paths[0]))[..., ::-1].astype(int)
    width = 7 * 91  # 51 pixels of height are enlarged to 357
    assert picture.shape == (BAR + 7 * 51, 2 * width, 3)
    # joint 20 lies 0.2 m right of the optical axis at a depth of 0.5 m; the first frame
    # lacks the right hand, the second one shows it over the left one
    column = round((640 + 640 * 0.2 / 0.5) * width / 1280)
    for left, colour in ((column, HAND_COLOURS[0]), (width + column, HAND_COLOURS[1])):
        near = np.abs(picture[BAR:, left - 2 : left + 3] - np.array(colour)).sum(-1)
        assert near.min() < 60


def test_oakink2_clips_are_drawn(tmp_path):
    root = write_oakink2(tmp_path / "oakink2")
    prepare_oakink2.main(["--root", str(root), "--joints", str(root / "joints")])
    run(root, tmp_path / "out", "--num", "3")
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_mirrored_left_hand_is_a_right_hand_on_the_other_side(tmp_path):
    root = write_h2o(tmp_path / "h2o")
    prepare_h2o.main(["--root", str(root)])
    options = ("--split", "train", "--num", "1", "--frames", "2", "--mirrored")
    run(root, tmp_path / "out", *options)
    (path,) = (tmp_path / "out").iterdir()
    picture = cv2.imread(str(path))[..., ::-1].astype(int)
    assert picture.shape == (BAR + 224, 2 * 224, 3)
    # at 0.7 of the width of 91 pixels, which become 457, of which 116 to 340 are left
    column = 224 - 1 - (round(0.7 * 457) - 116)
    near = np.abs(picture[BAR:, column - 3 : column + 4] - np.array(HAND_COLOURS[1]))
    assert near.sum(-1).min() < 60


def test_same_seed_same_clips_and_broken_clip_is_named(tmp_path, capsys):
    root = write_h2o(tmp_path / "h2o")
    prepare_h2o.main(["--root", str(root)])
    for name in ("one", "two"):
        run(root, tmp_path / name, "--num", "3", "--seed", "5")
    names = [sorted(p.name for p in (tmp_path / n).iterdir()) for n in ("one", "two")]
    assert names[0] == names[1]
    for path in (root / "subject4/o1/0/cam4/rgb256").iterdir():
        path.write_bytes(b"")
    run(root, tmp_path / "out", "--split", "test")
    assert "subject4/o1/0/cam4/rgb256" in capsys.readouterr().err


def test_skeletons_without_video_are_drawn_to_fit_beside_a_legend(tmp_path, capsys):
    write_custom(tmp_path, BODY15)
    (tmp_path / "mmfusion").symlink_to(".")
    run(tmp_path, tmp_path / "out", "--num", "2", "--frames", "2")
    paths = sorted((tmp_path / "out").iterdir())
    assert len(paths) == 2 and capsys.readouterr().out.count("skeletons alone, ") == 2
    picture = cv2.imread(str(paths[0]))[..., ::-1].astype(int)
    assert picture.shape == (BAR + 360, 720, 3)
    blue = np.abs(picture - np.array(HAND_COLOURS[0])).sum(-1) < 60
    assert blue[:BAR].any()  # the word "body"
    rows, columns = np.nonzero(blue[BAR:])
    assert max(np.ptp(rows), np.ptp(columns) - 360) > 0.4 * 360
    assert rows.min() > 15 and rows.max() < 345


def test_a_body_is_mirrored_by_its_pairs_or_refused(tmp_path, capsys):
    for name, skeleton, told in (
        ("pairs", BODY15, "skeletons alone"),
        ("none", {**BODY15, "mirror": None}, "metainfo.skeleton.mirror"),
    ):
        write_custom(tmp_path / name, skeleton)
        (tmp_path / name / "mmfusion").symlink_to(".")
        run(tmp_path / name, tmp_path / name / "out", "--mirrored", "--num", "1")
        out = capsys.readouterr()
        assert told in out.out + out.err and "Traceback" not in out.err
