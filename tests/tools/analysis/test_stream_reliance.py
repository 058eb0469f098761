"""The command from a work folder to its tables, on a model that was not trained."""

import json

import pytest

from mmfusion.evaluation.predictions import load_predictions
from mmfusion.utils.errors import CheckpointError, WorkDirError
from tests.models.recognizers.test_multimodal_recognizer import NECK
from tests.tools.analysis.toy_run import write_run
from tests.tools.command import main_of

main = main_of("analysis/stream_reliance")
MODEL = dict(
    type="MultiModalRecognizer",
    encoders=dict(
        video=dict(type="VideoMamba", arch="nano", img_size=32, num_frames=2),
        skeleton=dict(type="SkeletonMamba", arch="nano", num_frames=4),
    ),
    neck=NECK,
    heads=dict(action=dict(type="ClassificationHead", num_classes=5, in_dims=64)),
)
PIPELINE = [
    dict(type="SampleTimes", num_frames=dict(video=2, skeleton=4), mode="uniform"),
    dict(type="DecodeVideo", missing_size=(32, 32)),
    dict(type="LoadSkeleton", optional=True),
    dict(type="mmaction.Resize", scale=(32, 32), keep_ratio=False),
    dict(type="AlignSkeleton"),
    dict(type="NormalizeSkeleton", mode="none"),
    dict(type="PackInputs"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A work folder of a model of two streams, and three clips without hands."""
    records = [
        dict(id=f"c{i}", group="a", start_sec=0.0, end_sec=3.0, label={"action": i})
        for i in range(3)
    ]
    root = tmp_path_factory.mktemp("run")
    classes = {"action": list("vwxyz")}
    return write_run(root, MODEL, PIPELINE, "AccuracyMetric", classes, records)


def test_a_work_folder_gives_the_tables(run, capsys):
    assert main([str(run), "--dump"]) == 0
    out = capsys.readouterr().out
    assert "n = 3, the other streams absent" in out
    found = json.loads((run / "reliance" / "reliance.json").read_text())
    assert [one["way"] for one in found] == ["absent", "swapped"]
    kept = [row["kept"] for row in found[0]["results"]]
    assert kept == [["video", "skeleton"], ["video"], ["skeleton"]]
    assert "| video |" in (run / "reliance" / "reliance.md").read_text()
    # no clip has hands: that they are absent changes nothing
    first, *_ = found[0]["results"]
    assert found[0]["results"][1]["accuracy"] == first["accuracy"]
    dump = load_predictions(run / "reliance" / "absent_video.json")
    assert dump.metainfo["others"] == "absent"
    assert sorted(dump.ids) == ["c0", "c1", "c2"]


def test_what_cannot_be_tested_is_one_line(run, tmp_path, capsys):
    assert main([str(tmp_path)]) == WorkDirError.exit_code
    assert "has 0 configs of runs []" in capsys.readouterr().err
    (tmp_path / "toy.py").write_text((run / "toy.py").read_text())
    assert main([str(tmp_path)]) == CheckpointError.exit_code
    assert "has no checkpoint (best.pth, epoch_N.pth)" in capsys.readouterr().err
    assert main([str(run / "toy.py")]) == 2
    assert "a config needs its CHECKPOINT" in capsys.readouterr().err
    options = ["--cfg-options", "test_dataloader=None"]
    arguments = [str(run), "--out", str(tmp_path), *options]
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert "test_dataloader" in err and "Traceback" not in err
