"""Numbers of the public loaders, on segments worked by hand and on the real ones."""

import numpy as np
import pytest

from mmfusion.analysis.anticipation_loaders import LOADERS, Segments
from mmfusion.analysis.protocol_audit import ProtocolReport, audit, read_split, spanned
from tests.ek100_files import edit, make_ek100, write_csv

BY_NAME = {loader.name: loader for loader in LOADERS}
INAVIT, MAMBAVL = "InAViT, 10 views", "MambaVL, 1 view"  # as in PROTOCOLS.md


def segments(*rows, fps=60.0, trained=None):
    """Segments of (start, stop) seconds in a video of 100 s, numbered at 60."""
    start, stop = np.array(rows, dtype=float).T
    return Segments(
        video=("P01_01",) * len(rows),
        start=start,
        stop=stop,
        start_frame=np.maximum(np.floor(start * 60), 1),
        stop_frame=np.floor(stop * 60),
        list_frame=np.floor(start * 30),
        fps=np.full(len(rows), fps),
        video_frames=np.full(len(rows), 100 * fps),
        trained=None if trained is None else np.array(trained),
    )


def test_views_are_joined():
    start, stop = np.zeros(3), np.full(3, 10.0)
    times = np.array(
        [
            [[1, 3], [2, 4], [6, 7]],  # 1 to 4, 6 to 7
            [[-5, -1], [-1, 2], [0, 1]],  # 0 to 2
            [[9, 12], [11, 12], [3, 3]],  # 9 to 10
        ],
        dtype=float,
    )
    np.testing.assert_allclose(spanned(times, start, stop), [0.4, 0.2, 0.1])


def test_vjepa2_on_four_segments():
    """Last frames 68 before the end: 1 s, and 7 for the step, less one as it counts."""
    rows = segments(
        (10, 14), (20, 20.5), (0, 0.5), (30, 34), trained=[True, True, True, False]
    )
    found = audit(BY_NAME["V-JEPA 2"], rows)
    assert (found.total, found.kept, found.padded) == (4, 3, 1)
    assert found.dropped["action not in training"] == 1
    # 840 - 67: 12.883 s; 1230 - 67: 19.383 s; frame 0
    np.testing.assert_allclose(found.least, 10 - 773 / 60)
    np.testing.assert_allclose(found.gap, (10 - 773 / 60 + 20 - 1163 / 60 + 0) / 3)
    np.testing.assert_allclose(found.sees, 200 / 3)  # frame 0 is the third's first
    np.testing.assert_allclose(found.into, 100 / 3)
    np.testing.assert_allclose(found.share, 100 * (773 / 60 - 10) / 4 / 3)
    assert found.short == 200 / 3 + 100 / 3 and found.wrong_rate == 0


def test_views_of_a_long_action_reach_deep():
    """600 frames at 60, a room of 472: the tenth view ends 0.9 of it, less 2, in."""
    rows = segments((10, 20))
    ten, one = (audit(BY_NAME[name], rows) for name in (INAVIT, MAMBAVL))
    # number 423.8 from its first one, which is shown 1 / 60 s before it starts
    assert ten.gap == pytest.approx(-422 / 60) and one.gap == pytest.approx(0)
    assert ten.share == pytest.approx(100 * 422 / 600)  # all of it, the views joined
    assert (one.share, one.sees, one.into, one.short) == (0, 100, 0, 100)


def test_a_wrong_rate_moves_the_window_or_drops_it():
    rows = segments((10, 14), (55, 59), fps=30.0)
    found = audit(BY_NAME["V-JEPA 2"], rows)
    # number 840 - 30 - 3 = 807 is shown at 26.9 s in place of 13.45; 3507 is none
    assert (found.kept, found.wrong_rate) == (1, 1) and [*found.dropped.values()] == [1]
    np.testing.assert_allclose([found.gap, found.most_shift], [-16.9, 13.45])
    assert found.sees == 0.0
    jfaa = audit(BY_NAME["JFAA"], rows)
    # half a second of images at 60, and a step of 4
    np.testing.assert_allclose([jfaa.gap, jfaa.most_shift], [34 / 60, 0.5])


@pytest.mark.parametrize(
    ("name", "gap", "kept"),
    [
        ("official", 1.0, 1),
        ("AVT", 1.0, 1),
        ("AFFT", 31 / 30, 1),  # image n is shown at (n - 1) / 30 s
        ("RULSTM", (31 / 30 + 0.9 - 3 / 30) / 2, 2),
        (INAVIT, 0.0, 2),
        (MAMBAVL, 0.0, 2),
        ("ours", (1 + 2 / 30 + 0.9) / 2, 2),
    ],
)
def test_a_segment_that_begins_before_a_second(name, gap, kept):
    """One at 50 s and one at 0.9 s, 1 s long each."""
    found = audit(BY_NAME[name], segments((50, 51), (0.9, 1.9)))
    assert found.kept == kept and sum(found.dropped.values()) == 2 - kept
    late = dict.fromkeys(("RULSTM", "ours"), 50) | {INAVIT: 100, MAMBAVL: 100}
    assert found.short == late.get(name, 0)
    assert found.gap == pytest.approx(gap, abs=1e-3 if name == "ours" else 1e-9)


def test_files_that_lack(tmp_path):
    root = make_ek100(tmp_path)
    found = read_split(root)
    np.testing.assert_array_equal(found.list_frame, [0, 46])  # half the official ones
    np.testing.assert_array_equal(found.trained, [True, False])
    (root / "rulstm").mkdir()
    rows = [
        ("P03_02_0", "P03_02", 1, 56, 0, 1, 0),
        ("P03_02_1", "P03_02", 47, 73, 0, 0, 1),
    ]
    write_csv(root / "rulstm/validation.csv", rows)
    np.testing.assert_array_equal(read_split(root).list_frame, [1, 47])
    (root / "EPIC_100_train.csv").unlink()
    assert read_split(root).trained is None
    edit(root / "EPIC_100_video_info.csv", "P03_02", "P09_02")
    with pytest.raises(ValueError, match="'P03_02' is not in EPIC_100_video_info.csv"):
        read_split(root)
    with pytest.raises(ValueError, match="split: got 'test'"):
        read_split(root, "test")


def test_the_real_segments(shared_data):
    """The figures of configs/mambavl/PROTOCOLS.md, all 9,668 segments of them."""
    report = ProtocolReport(read_split(shared_data / "ek100"))
    rows = {row.name: row for row in report.rows}
    assert {row.total for row in rows.values()} == {9_668}
    kept = {name: row.kept for name, row in rows.items()}
    assert kept == {
        "official": 9_641,
        "RULSTM": 9_658,
        "AVT": 9_638,
        "AFFT": 9_638,
        INAVIT: 9_668,
        MAMBAVL: 9_668,
        "V-JEPA 2": 9_260,
        "JFAA": 9_296,
        "ours": 9_668,
    }
    vjepa2, inavit = rows["V-JEPA 2"], rows[INAVIT]
    assert [*vjepa2.dropped.values()] == [372, 43] and vjepa2.wrong_rate == 94
    assert [round(value, 1) for value in (vjepa2.sees, vjepa2.share)] == [88.6, 47.8]
    assert [round(value, 1) for value in (inavit.short, inavit.share)] == [100.0, 19.3]
    honest = ("official", "AVT", "AFFT")
    assert all(rows[name].short == 0 == rows[name].sees for name in honest)
    text = "\n".join(report.notes())
    assert "@c2963a4" in text and "372 action not in training" in text
