"""The command from a work folder to its table, on a model that was not trained."""

import json

import pytest

from tests.tools.analysis.toy_run import write_run
from tests.tools.command import main_of

main = main_of("analysis/online")
MODEL = dict(
    type="MultiModalRecognizer",
    encoders=dict(video=dict(type="CausalVideoMamba", arch="nano", img_size=32)),
    neck=dict(type="EveryMoment", stream="video"),
    heads=dict(verb=dict(type="ClassificationHead", num_classes=3, in_dims=64)),
)
PIPELINE = [
    dict(type="SampleClock", rates=dict(video=4.0)),
    dict(type="DecodeVideo", scale=(32, 32)),
    dict(type="LabelMoments"),
    dict(type="PackInputs", streams=["video"], meta_keys=["moments", "segments"]),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A work folder of a model, and two films of 3 s, one of them with two actions."""
    times = [("a", 0.5, 1.0), ("a", 1.5, 2.2), ("b", 1.0, 2.0)]
    records = [
        dict(
            id=f"c{number}",
            group=film,
            duration_sec=3.0,
            start_sec=start,
            end_sec=end,
            label={"verb": number % 2},
        )
        for number, (film, start, end) in enumerate(times)
    ]
    return write_run(
        tmp_path_factory.mktemp("run"),
        MODEL,
        PIPELINE,
        "OnlineDetectionMetric",
        {"verb": ["cut", "mix"]},
        records,
        untrimmed=dict(seconds=None),
    )


def test_a_work_folder_gives_the_table(run, capsys):
    assert main([str(run), "--window", "1"]) == 0
    assert "sliding window of 1 s" in capsys.readouterr().out
    found = json.loads((run / "online" / "online.json").read_text())
    chance, window, stream = found.values()
    assert chance.keys() == window.keys() == stream.keys()
    # verb 0 has 4 + 2 of the 24 moments, verb 1 has 3
    share = 100 * (6 / 24 + 3 / 24) / 2
    assert chance["verb/frame_mAP"] == pytest.approx(share)
    assert "| stream |" in (run / "online" / "online.md").read_text()
    # a window that holds the whole film is the stream
    assert main([str(run), "--window", "9", "--out", str(run / "whole")]) == 0
    found = json.loads((run / "whole" / "online.json").read_text())
    assert found["sliding window of 9 s"] == found["stream"]


@pytest.mark.parametrize("window", ["0", "nan", "inf"])
def test_a_window_has_a_length(run, window, capsys):
    assert main([str(run), "--window", window]) == 2
    assert "expected seconds above 0" in capsys.readouterr().err


def test_a_test_of_clips_is_no_online_detection(run, capsys):
    options = ["--window", "1", "--cfg-options", "test_dataloader.dataset.untrimmed="]
    options[-1] += "None"
    assert main([str(run), *options]) == 2
    assert "dataset.untrimmed: lacks" in capsys.readouterr().err


def test_anticipation_has_no_chance_beside_it(run):
    option = "test_dataloader.dataset.pipeline.2.tau_a=0.5"
    assert main([str(run), "--window", "1", "--cfg-options", option]) == 0
    found = json.loads((run / "online" / "online.json").read_text())
    assert [*found] == ["sliding window of 1 s", "stream"]
