"""The command that labels videos: its table, its files, and what is wrong in a line."""

import json
import signal
from types import SimpleNamespace
from unittest import mock

import av
import numpy as np
import pytest

from mmfusion.apis.predictions import VideoPrediction
from mmfusion.apis.streaming import StreamingRecognizer
from mmfusion.apis.windows import Span
from mmfusion.engine.runner.checkpoints import save_atomic
from tests.apis.small import CLASSES, write_checkpoint
from tests.apis.small_streams import PIPELINE, loaded
from tests.apis.test_inferencer import write_hands
from tests.video_files import write_video
from tools import infer

FAST = dict(video=40.0, skeleton=40.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A video with hands beside it, and a model."""
    made = tmp_path_factory.mktemp("infer")
    (made / "videos").mkdir()
    write_video(made / "videos/a.mp4", 8, size=(64, 48))
    write_hands(made / "videos/a.npz", 8)
    write_checkpoint(made / "best.pth")
    return made


def run(folder, *arguments):
    model = ["--model", folder / "best.pth"]
    return infer.main([str(x) for x in (*arguments, *model)])


def test_a_table_is_printed_and_files_are_written(folder, tmp_path, capsys):
    out = tmp_path / "new"
    more = ("--out", out, "--window", "0.4", "--stride", "0.2", "--top", "2")
    assert run(folder, folder / "videos", *more) == 0
    shown = capsys.readouterr().out
    assert "mean of 3 windows of 0.4 s every 0.2 s" in shown and "timeline" in shown
    assert any(f"%  {name}\n" in shown for name in CLASSES["action"])
    (found,) = json.loads((out / "predictions.json").read_text())["predictions"]
    assert len(found["windows"]) == 3 and len(found["scores"]["action"]) == 2
    with av.open(str(out / "a.overlay.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.frames) == (1360, 856, 8)


def test_the_table_says_how_far_ahead_it_is():
    found = VideoPrediction("a", 0.0, 2.0, {"action": ["cut"]}, [Span(0, 2)], ahead=1.0)
    found.scores["action"] = np.ones((1, 1))
    first = infer.table_of(found, "action", 1).splitlines()[0]
    assert first == "a  0:00.0 to 0:02.0, what begins 1 s later"


def test_lines_of_the_timeline_meet_where_windows_overlap():
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])
    found = SimpleNamespace(
        scores={"action": scores},
        spans=[Span(0, 2), Span(1, 3), Span(2, 4)],
        start=0.0,
        end=4.0,
        classes={"action": ["cut", "stir"]},
    )
    assert list(infer.timeline_of(found, "action")) == [
        "0:00.0 to 0:02.5   85.0%  cut",
        "0:02.5 to 0:04.0   90.0%  stir",
    ]


def test_a_broken_one_among_many_is_counted(folder, tmp_path, capsys):
    (tmp_path / "b.mp4").touch()
    options = (folder / "videos/a.mp4", tmp_path / "b.mp4", "--hands", "none")
    assert run(folder, *options) == 0
    told = capsys.readouterr()
    assert "1 of 2 videos were skipped" in told.err and "is empty" in told.err
    assert "only the other streams count" in told.out
    assert run(folder, *options, "--strict") == 2


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ([], "no VIDEO is given"),
        (["none.mp4"], "the file does not exist"),
        (["VIDEO", "--window", "long"], "window is 'long'"),
        (["VIDEO", "--stride", "0"], "stride is 0.0"),
        (["VIDEO", "--task", "noun"], "task is 'noun'; the model predicts ['action']"),
        (["VIDEO", "--question", "What?"], "no text; leave it out"),
        (["VIDEO", "--device", "abacus"], "device is 'abacus'"),
        (["VIDEO", "--hands", "extract"], "reads hands of layout openpose21"),
        (["VIDEO", "--test-clip", "0"], "expected one of the two"),
        (["VIDEO", "--fps", "0"], "fps is 0.0"),
    ],
)
def test_what_is_wrong_is_one_line(folder, tmp_path, capsys, arguments, match):
    video = str(folder / "videos/a.mp4")
    given = [video if item == "VIDEO" else item for item in arguments]
    assert run(folder, *given, "--out", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert match in told and told.count("\n") == 1


def test_a_folder_that_is_no_model_is_told(tmp_path, capsys):
    assert infer.main(["a.mp4", "--model", str(tmp_path)]) == 3
    assert "has no checkpoint" in capsys.readouterr().err
    save_atomic({"state_dict": {}}, tmp_path / "old.pth")
    assert infer.main(["a.mp4", "--model", str(tmp_path / "old.pth")]) == 3
    assert "has no card" in capsys.readouterr().err


@pytest.fixture
def streaming(monkeypatch):
    """A causal model in place of the file of ``--model``."""
    model = loaded(pipeline=[dict(PIPELINE[0], rates=FAST), *PIPELINE[1:]])
    monkeypatch.setattr(
        infer,
        "StreamingRecognizer",
        lambda path, checkpoint, **options: StreamingRecognizer(model, **options),
    )


def test_a_file_is_labelled_live(folder, tmp_path, capsys, streaming):
    options = ("--out", tmp_path, "--limit", "100", "--hands", "none", "--top", "2")
    assert run(folder, "--live", folder / "videos/a.mp4", *options) == 0
    shown = capsys.readouterr().out
    assert "hands none" in shown
    *lines, last = (tmp_path / "live.jsonl").read_text().splitlines()
    answers = [json.loads(line) for line in lines]
    times = [one["time"] for one in answers]  # a busy machine may pass some over
    assert times == sorted({*times} & {i / 10 for i in range(8)})
    assert len(answers[0]["scores"]["action"]) == 2
    frames = json.loads(last)["summary"]["frames"]["video"]
    assert frames["answered"] == len(times) > 0 and sum(frames.values()) == 8
    assert f"video: {len(times)} answered" in shown


def test_ctrl_c_ends_a_live_run_with_its_summary(folder, capsys, streaming):
    class Pressed(infer.LiveSession):
        def describe(self, answer, top):
            signal.raise_signal(signal.SIGINT)
            return super().describe(answer, top)

    before = signal.getsignal(signal.SIGINT)
    with mock.patch.object(infer, "LiveSession", Pressed):
        options = ("--limit", "100", "--hands", "none")
        assert run(folder, "--live", folder / "videos/a.mp4", *options) == 0
    shown = capsys.readouterr().out
    assert "stopped after" in shown and "video: 1 answered" in shown
    assert signal.getsignal(signal.SIGINT) is before


def test_what_cannot_be_live_is_one_line(folder, capsys):
    assert run(folder, "--live", "97") == 2
    assert "camera 97 cannot be opened" in capsys.readouterr().err
    assert run(folder, folder / "videos", "--live", "0") == 2
    assert run(folder, "--live", folder / "videos/a.mp4") == 2
    assert "reads whole clips" in capsys.readouterr().err
