"""The table of missing streams, of runs that no model made."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmfusion.analysis.missing_streams import mixed
from mmfusion.evaluation.predictions import Predictions, save_predictions
from tests.analysis.demo_configs import AVERAGE
from tests.tools.analysis.test_table import FakeTools
from tests.tools.command import main_of

main = main_of("analysis/missing")
CONFIG = AVERAGE.parents[1] / "streams" / "missing_average_nano_tinyego.py"
RIGHT = {"video": 12, "skeleton": 8, "skeleton_video": 36}  # of 48 clips


class FakeSubsets(FakeTools):
    """Stands in for stream_reliance.py, too."""

    def __call__(self, command, log, on_text):
        if Path(command[1]).stem != "stream_reliance":
            return super().__call__(command, log, on_text)
        folder, out = Path(command[2]), Path(command[-1])
        assert command[3:] == ["--ways", "absent", "--dump", "--out", str(out)]
        self.done.append(("subsets", folder.parent.name, folder.name))
        out.mkdir()
        seed = int(folder.name.removeprefix("seed"))
        for name, count in RIGHT.items():
            save(out / f"absent_{name}.json", count + seed)
        (out / "reliance.json").write_text("[]")
        return 0

    def write_predictions(self, args):
        counts = {"video_mamba": 10, "skeleton_mamba": 14}
        name = Path(args.config).stem.removesuffix("_nano_tinyego")
        save(args.dump, counts.get(name, 30))


def save(path, right):
    """48 clips of which the first so many are right."""
    score = np.where(np.arange(48)[:, None] < right, [0.8, 0.2], [0.2, 0.8])
    labels = {"action": np.zeros(48, np.int64)}
    ids, score = [f"c{i:02}" for i in range(48)], score.astype(np.float32)
    save_predictions(path, Predictions(ids, {"action": score}, labels))


def run(root, tools, *arguments):
    argv = [str(CONFIG), "--seeds", "2", "--work-root", str(root), *arguments]
    return main(argv, tools)


def test_the_table_has_each_subset_beside_what_is_trained_for_it(tmp_path):
    tools = FakeSubsets()
    assert run(tmp_path, tools, "--beside", str(AVERAGE)) == 0
    (report,) = json.loads((tmp_path / "missing.json").read_text())
    both, video, hands = report["subsets"]
    assert (both["kept"], both["trained"]) == (["video", "skeleton"], AVERAGE.stem)
    # right are 36 and 37 of 48 with both, 12 and 13 with the video
    means = {share: one["mean"] for share, one in video["accuracy"].items()}
    expected = {"0": 36.5, "25": 30.5, "50": 24.5, "75": 18.5, "100": 12.5}
    assert means == pytest.approx({k: 100 * v / 48 for k, v in expected.items()})
    # 30 with the Average of whole clips, 10 with the model of video alone
    means = {share: one["mean"] for share, one in video["trained_accuracy"].items()}
    expected = {"0": 30, "25": 25, "50": 20, "75": 15, "100": 10}
    assert means == pytest.approx({k: 100 * v / 48 for k, v in expected.items()})
    assert video["trained"] == "video_mamba_nano_tinyego"
    assert video["minus_trained"]["mean"] == pytest.approx(100 * 2.5 / 48)
    assert hands["minus_trained"]["mean"] == pytest.approx(-100 * 5.5 / 48)
    assert hands["minus_trained"]["high"] < 0 < both["minus_trained"]["low"]
    text = (tmp_path / "missing.md").read_text()
    assert "| video | trained for it: video_mamba_nano_tinyego | 62.5 (" in text
    assert "Made by: python tools/analysis/missing.py" in text
    tools.done.clear()
    assert run(tmp_path, tools, "--beside", str(AVERAGE)) == 0
    assert tools.done == [] and (tmp_path / "missing.md").read_text() == text


def test_one_seed_has_an_interval_between_whole_clips(tmp_path):
    assert (
        main([str(CONFIG), "--seeds", "1", "--work-root", str(tmp_path)], FakeSubsets())
        == 0
    )
    (report,) = json.loads((tmp_path / "missing.json").read_text())
    both, video, _ = report["subsets"]
    half = video["accuracy"]["75"]
    assert half["mean"] == pytest.approx(100 * 18 / 48)
    assert 20 < half["low"] < half["mean"] < half["high"] < 55
    assert both["trained"] is None and both["minus_trained"] is None
    assert set(video["trained_accuracy"]) == {"100"}


def test_a_ceiling_is_between_that_of_all_and_of_the_subset(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    action = {"video": 75.0, "skeleton": 30.0, "both": 100.0}
    content = {"splits": {"val": {"action": action}}}
    (data / "ceilings.json").write_text(json.dumps(content))
    assert run(tmp_path / "w", FakeSubsets(), "--data", str(data)) == 0
    (report,) = json.loads((tmp_path / "w" / "missing.json").read_text())
    both, video, _ = report["subsets"]
    assert both["ceiling"] == {"0": 100.0}
    assert video["ceiling"] == {str(x): 100 - x / 4 for x in (0, 25, 50, 75, 100)}


def test_a_test_that_fails_ends_it(tmp_path, capsys):
    def failing(command, log, on_text):
        if Path(command[1]).stem == "stream_reliance":
            return 3
        return FakeSubsets()(command, log, on_text)

    assert run(tmp_path, failing) == 3
    assert "stream_reliance.py" in capsys.readouterr().err


def test_a_model_of_one_stream_has_no_such_table(tmp_path, capsys):
    video = AVERAGE.with_name("video_mamba_nano_tinyego.py")
    assert main([str(video), "--work-root", str(tmp_path)], FakeSubsets()) == 2
    assert "has one stream, 'video'" in capsys.readouterr().err


def test_what_its_own_options_set_is_refused(tmp_path, capsys):
    more = {
        "--folds 1": ["--folds", "1"],
        "is set by --seeds": ["--cfg-options", "randomness.seed=3"],
        "fold0.json is not there": ["--folds", "2", "--data", str(tmp_path)],
    }
    for said, arguments in more.items():
        assert run(tmp_path / "w", FakeSubsets(), *arguments) == 2
        assert said in capsys.readouterr().err


def test_a_mix_is_the_mean_over_the_choices():
    whole, part = np.array([[True, True, False, False]]), np.array([[True, False] * 2])
    assert mixed(whole, part, 25).tolist() == [[1.0, 0.75, 0.25, 0.0]]
