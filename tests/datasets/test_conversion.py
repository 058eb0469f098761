"""Functions that the converters share."""

from pathlib import Path

import numpy as np
import pytest

from mmfusion.datasets.conversion import (
    ConversionReport,
    data_root_of,
    link_roots_of,
    relative_to,
    run_tasks,
)


def record(split: str, length: int, label: dict) -> dict:
    return {
        "group": f"{split}/{length}",
        "split": split,
        "start_frame": 5,
        "end_frame": 4 + length,
        "label": label,
    }


def test_report_counts_by_split_class_and_reason():
    records = [
        record("val", 4, {"action": 1}),
        record("train", 2, {"action": 0}),
        record("train", 5, {"action": 0}),
        record("test", 3, {}),
    ]
    dropped = [(f"clip{i}", "gone") for i in range(7)] + [("other", "broken")]
    metainfo = {
        "dataset": "set",
        "classes": {"action": ["cut", "pour"]},
        "skeleton": {"hands": ["left"]},
    }
    report = ConversionReport(metainfo, records, dropped)
    report.count_hands([np.array([[True], [False], [True], [True]])])
    lines = report.text().splitlines()
    assert lines[0] == "set: 4 clips"
    assert lines[3].split() == ["train", "2", "2", "7", "2/3.5/5", "2"]
    assert [line.split() for line in lines[8:11]] == [
        ["class", "train", "val"],
        ["cut", "2", "0"],
        ["pour", "0", "1"],
    ]
    assert "hand valid, left: 75.00 % of 4 frames" in lines
    assert "  7 gone (clip0, clip1, clip2, clip3, clip4, ...)" in lines
    assert "clip6" in report.text(every=True)


def test_paths_are_relative_to_the_nearest_common_folder(tmp_path):
    root, out = tmp_path / "h2o", tmp_path / "ann" / "h2o"
    assert data_root_of(root, root / "mmfusion") == root
    assert data_root_of(root, out) == tmp_path
    assert relative_to(tmp_path, root / "a" / ".." / "b") == "h2o/b"


def test_links_out_of_the_root_are_found(tmp_path):
    inside, disk = tmp_path / "root" / "one", tmp_path / "disk" / "two"
    inside.mkdir(parents=True)
    disk.mkdir(parents=True)
    link = tmp_path / "root" / "two"
    link.symlink_to(disk)
    assert link_roots_of(tmp_path / "root", [inside]) == []
    assert link_roots_of(tmp_path / "root", [inside, link]) == [str(disk)]
    assert relative_to(tmp_path / "root", link) == "two"  # the link, not its aim


@pytest.mark.parametrize("workers", [0, 2])
def test_results_come_in_the_order_of_the_tasks(workers):
    paths = [Path(f"folder/{i}") for i in range(20)]
    assert list(run_tasks(str, paths, workers)) == [f"folder/{i}" for i in range(20)]
