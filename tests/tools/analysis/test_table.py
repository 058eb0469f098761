import argparse
import json
import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import DictAction

from mmfusion.analysis.experiments import read_config
from mmfusion.engine.launch.config_compare import comparable_config
from mmfusion.engine.runner.checkpoints import save_atomic
from mmfusion.evaluation.predictions import Predictions, save_predictions
from tests.analysis.demo_configs import AVERAGE
from tests.tools.command import main_of

main = main_of("analysis/table")
NUM_RIGHT = {"video_mamba": 10, "skeleton_mamba": 14, "cls_mix_average": 30}


def parse_command(command):
    """Options that tools/train.py and tools/test.py read from a command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("checkpoint", nargs="?")
    parser.add_argument("--work-dir", type=Path)
    parser.add_argument("--dump", type=Path)
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    return parser.parse_args(command[2:])


class FakeTools:
    """Stands in for train.py and test.py; remembers what it was asked to do."""

    def __init__(self, fail_at=None):
        self.done, self.fail_at = [], fail_at

    def __call__(self, command, log, on_text):
        args, kind = parse_command(command), Path(command[1]).stem
        self.done.append((kind, Path(args.config).stem, args.work_dir.name))
        log.write_text("line of the log\n")
        on_text("Epoch(train)  [3][ 5/10]  lr: 1")
        if self.fail_at == len(self.done):
            return 3
        if kind == "train":
            options = args.cfg_options
            for key, value in options.items():
                if key.endswith("init_cfg.checkpoint"):
                    assert Path(value).is_file(), "stage 1 comes first"
            config = read_config(Path(args.config), options, args.work_dir)
            settings = json.dumps(comparable_config(config))
            save_atomic({"meta": {"settings": settings}}, args.work_dir / "best.pth")
            done = '{"epoch": 3, "iter": 30, "best": null}'
            (args.work_dir / "finished.json").write_text(done)
        else:
            assert Path(args.checkpoint).is_file()
            self.write_predictions(args)
        return 0

    def write_predictions(self, args):
        method = Path(args.config).stem.removesuffix("_nano_tinyego")
        right = np.arange(48) < NUM_RIGHT[method] + args.cfg_options["randomness.seed"]
        score = np.where(right[:, None], [0.8, 0.2], [0.2, 0.8]).astype(np.float32)
        labels = {"action": np.zeros(48, np.int64)}
        ids = [f"c{i}" for i in range(48)]
        save_predictions(args.dump, Predictions(ids, {"action": score}, labels))


def run_table(root, tools, *arguments):
    argv = [str(AVERAGE), "--seeds", "2", "--work-root", str(root), *arguments]
    return main(argv, tools)


def test_runs_what_is_missing_in_order_and_nothing_twice(tmp_path, capsys):
    root, tools = tmp_path / "folder", FakeTools()
    assert run_table(root, tools) == 0
    names = [f"{m}_nano_tinyego" for m in NUM_RIGHT]
    assert tools.done == [
        (kind, name, f"seed{seed}")
        for seed in (0, 1)
        for name in names
        for kind in ("train", "test")
    ]
    first = (root / "table.md").read_text()
    tools.done.clear()
    assert run_table(root, tools) == 0
    assert tools.done == [] and (root / "table.md").read_text() == first
    assert "was complete" in capsys.readouterr().out


def test_the_table_has_the_numbers_of_the_predictions(tmp_path):
    assert run_table(tmp_path, FakeTools()) == 0
    (report,) = json.loads((tmp_path / "table.json").read_text())
    average, skeleton, video, late = report["methods"]
    assert (late["method"], late["trained"]) == ("late_fusion_nano_tinyego", False)
    assert late["top1"] == video["top1"]  # where only hands are right, it is a tie
    assert average["top1"]["mean"] == pytest.approx(100 * 30.5 / 48)
    assert average["per_seed"] == pytest.approx({"0": 62.5, "1": 100 * 31 / 48})
    assert average["delta"]["video"] == pytest.approx([100 * 20 / 48, 100 * 20 / 10.5])
    assert video["num_clips"] == 48 and video["paper"] is None
    assert report["better_single_stream"] == skeleton["method"]
    (gain,) = report["gains"]
    assert gain["difference"]["mean"] == pytest.approx(100 * 16 / 48)
    assert gain["difference"]["low"] > 0 and gain["p_value"] < 0.01
    text = (tmp_path / "table.md").read_text()
    assert "nano_tinyego: action, 2 seeds" in text
    assert "| cls_mix_average | 63.54 |" in text
    assert "cls_mix_average beats late_fusion: +41.67 points" in text
    assert "No linear video: there is no annotation" in text
    assert "+41.67" in text and "The paper: n = 105" in text


def test_a_cut_off_table_continues_where_it_stopped(tmp_path, capsys):
    assert run_table(tmp_path, FakeTools(fail_at=4)) == 3
    shown = capsys.readouterr().err
    assert "exit code 3" in shown and "line of the log" in shown
    assert "skeleton_mamba_nano_tinyego" in shown
    tools = FakeTools()
    assert run_table(tmp_path, tools) == 0
    assert tools.done[0] == ("test", "skeleton_mamba_nano_tinyego", "seed0")
    assert len(tools.done) == 12 - 3


def test_a_training_that_was_stopped_is_not_tested(tmp_path, capsys):
    assert run_table(tmp_path, lambda command, log, on_text: 0) == 143
    assert "stopped before its end" in capsys.readouterr().err


def test_results_of_another_config_are_not_reused(tmp_path, capsys):
    assert run_table(tmp_path, FakeTools()) == 0
    options = ["--cfg-options", "optim_wrapper.optimizer.lr=0.5"]
    assert run_table(tmp_path, FakeTools(), *options) == 2
    shown = capsys.readouterr().err
    assert "another config" in shown and "optimizer.lr" in shown


def test_ceilings_beside_the_data_are_shown(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    bounds = {"action": {"video": 50.0, "skeleton": 40.0, "both": 100.0}}
    content = {"splits": {"val": bounds, "test": bounds}}
    (data / "ceilings.json").write_text(json.dumps(content))
    assert run_table(tmp_path / "w", FakeTools(), "--data", str(data)) == 0
    (report,) = json.loads((tmp_path / "w" / "table.json").read_text())
    found = {m["method"].split("_nano")[0]: m["ceiling"] for m in report["methods"]}
    assert found == {
        "video_mamba": 50.0,
        "skeleton_mamba": 40.0,
        "cls_mix_average": 100.0,
        "late_fusion": 100.0,
    }
    assert "| of ceiling (%) |" in (tmp_path / "w" / "table.md").read_text()


def test_a_path_that_options_cannot_carry_is_named(tmp_path, capsys):
    assert run_table(tmp_path / "a folder", FakeTools()) == 2
    assert "a folder" in capsys.readouterr().err


class SlowTools(FakeTools):
    """Stand-ins that take a moment; remember how many ran at a time."""

    def __init__(self, fail_at=None):
        super().__init__(fail_at)
        self.active = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, command, log, on_text):
        with self.lock:
            self.active += 1
            self.most = max(self.most, self.active)
        time.sleep(0.05)
        with self.lock:
            code = super().__call__(command, log, on_text)
            self.active -= 1
        return code


def test_two_jobs_at_a_time_keep_the_order_of_stages(tmp_path):
    tools = SlowTools()
    assert run_table(tmp_path, tools, "--jobs", "2") == 0
    assert tools.most == 2  # FakeTools asserts that stage 1 is there
    assert len(tools.done) == 12
    again = SlowTools()
    assert run_table(tmp_path, again, "--jobs", "2") == 0
    assert again.done == []


def test_a_failure_ends_the_other_jobs(tmp_path, capsys):
    tools = SlowTools(fail_at=2)
    assert run_table(tmp_path, tools, "--jobs", "2") == 3
    assert "exit code 3" in capsys.readouterr().err
    assert len(tools.done) < 6


def test_a_form_is_printed_alone_and_written(tmp_path, capsys):
    assert run_table(tmp_path, FakeTools(), "--format", "csv") == 0
    out = capsys.readouterr()
    assert out.out.startswith("Method,Top-1 (%),95 % interval,")
    assert out.out == (tmp_path / "table.csv").read_text()
    assert "wrote" in out.err
    assert (tmp_path / "table.md").is_file()


def test_a_key_may_not_be_set_twice(tmp_path, capsys):
    key = "train_cfg.max_epochs"
    more = ["--vary", f"{key}=3,5", "--cfg-options", f"{key}=4"]
    assert run_table(tmp_path, FakeTools(), *more) == 2
    assert f"['{key}'] are given by --vary and by --cfg" in capsys.readouterr().err


class FoldTools(FakeTools):
    """Fold 0 tests 20 clips of which all but 2 are right, fold 1 others, all right."""

    def write_predictions(self, args):
        options = args.cfg_options
        keys = [f"{name}_dataloader.dataset.ann_file" for name in ("train", "test")]
        (file,) = {options[key] for key in keys}
        fold = int(file.removeprefix("fold").removesuffix(".json"))
        assert args.work_dir.parent.name == f"fold{fold}"
        right = np.arange(20) >= (2 if fold == 0 else 0)
        score = np.where(right[:, None], [0.8, 0.2], [0.2, 0.8]).astype(np.float32)
        ids = [f"c{20 * fold + i}" for i in range(20)]
        gt = {"action": np.zeros(20, np.int64)}
        save_predictions(args.dump, Predictions(ids, {"action": score}, gt))


ANN_FILE = "test_dataloader.dataset.ann_file"


def make_folds(root, count):
    root.mkdir()
    for number in range(count):
        records = [
            dict(
                id=f"c{20 * number + i}",
                group=f"{20 * number + i}",
                video=f"{i}.mp4",
                start_sec=0.0,
                end_sec=1.0,
                split="val",
                label={"action": 0},
            )
            for i in range(20)
        ]
        metainfo = dict(version=1, dataset="own", classes={"action": ["a", "b"]})
        text = json.dumps(dict(metainfo=metainfo, data_list=records))
        (root / f"fold{number}.json").write_text(text)
    return root


def test_clips_of_all_folds_are_pooled(tmp_path, capsys):
    data, tools = make_folds(tmp_path / "data", 2), FoldTools()
    (tmp_path / "hard.txt").write_text("c0  # blurred\nc1\nc39\n")
    more = ["--data", str(data), "--folds", "2", "--seeds", "1"]
    more += ["--subset", str(tmp_path / "hard.txt")]
    root = tmp_path / "work"
    assert run_table(root, tools, *more) == 0
    assert len(tools.done) == 2 * 3 * 2  # folds, configs, train and test
    assert (
        root / "cls_mix_average_nano_tinyego/fold1/seed0/predictions.json"
    ).is_file()
    (report,) = json.loads((root / "table.json").read_text())
    for method in report["methods"]:
        assert method["top1"]["mean"] == pytest.approx(95)
        assert method["per_fold"] == pytest.approx({"0": 90, "1": 100})
        assert method["subsets"]["hard"]["num_clips"] == 3
        assert method["subsets"]["hard"]["top1"]["mean"] == pytest.approx(100 / 3)
        assert method["num_clips"] == 40
        assert (method["seconds_a_run"] is not None) == method["trained"]
    first = (root / "table.md").read_text()
    assert "action, 2 folds, 1 seed" in first and "fold 1 (n = 20)" in first
    assert "hard (n = 3)" in first and "or over folds" in first
    tools.done.clear()
    assert run_table(root, tools, *more) == 0
    assert tools.done == [] and (root / "table.md").read_text() == first
    assert (
        "cls_mix_average_nano_tinyego, fold 0, seed 0: was" in capsys.readouterr().out
    )
    assert run_table(root, tools, *more, "--format", "latex") == 0
    assert "fold 1 (n = 20)" in (root / "table.tex").read_text()
    assert capsys.readouterr().out.startswith(r"\begin{table}")


@pytest.mark.parametrize(
    ("count", "more", "message"),
    [
        (3, [], "fold2.json is there; expected fold0.json to fold1.json"),
        (1, [], "fold1.json is not there"),
        (2, ["--folds", "1"], "--folds 1: expected two at least"),
        (2, ["--cfg-options", f"{ANN_FILE}=b.json"], "ann_file is set by --folds"),
        (
            2,
            ["--cfg-options", "randomness.seed=3"],
            "seed is set by --seeds",
        ),
        (2, ["--vary", f"{ANN_FILE}=a,b"], "ann_file is set by --folds"),
        (2, ["--subset", "EMPTY", "sub/EMPTY"], "two files are called 'EMPTY'"),
        (2, ["--subset", "EMPTY"], "names no clip; expected an id a line"),
        (2, ["--subset", "OTHER"], "none of its 1 clips was tested, such as 'x'"),
    ],
)
def test_folds_and_subsets_that_cannot_be(tmp_path, capsys, count, more, message):
    data = make_folds(tmp_path / "data", count)
    (tmp_path / "EMPTY").write_text("# nothing\n")
    (tmp_path / "OTHER").write_text("x\n")
    more = [str(tmp_path / one) if one[-1].isupper() else one for one in more]
    common = ["--data", str(data), "--folds", "2", "--seeds", "1"]
    assert run_table(tmp_path / "work", FoldTools(), *common, *more) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_clip_of_two_folds_is_refused(tmp_path, capsys):
    data = make_folds(tmp_path / "data", 2)
    common = ["--data", str(data), "--folds", "2", "--seeds", "1"]
    assert run_table(tmp_path / "work", FakeTools(), *common) == 2
    assert "48 clips were tested in two folds, the first is 'c0'" in " ".join(
        capsys.readouterr().err.split()
    )


def test_folds_that_disagree_are_refused_before_any_run(tmp_path, capsys):
    data, tools = make_folds(tmp_path / "data", 2), FoldTools()
    shutil.copy(data / "fold0.json", data / "fold1.json")
    common = ["--data", str(data), "--folds", "2", "--seeds", "1"]
    assert run_table(tmp_path / "work", tools, *common) == 2 and not tools.done
    assert "tests 'c0', which" in " ".join(capsys.readouterr().err.split())
    text = (data / "fold1.json").read_text().replace('"b"', '"c"')
    (data / "fold1.json").write_text(text)
    assert run_table(tmp_path / "work", tools, *common) == 2 and not tools.done
    assert "other classes" in " ".join(capsys.readouterr().err.split())


def test_clips_of_a_subset_that_were_not_tested_are_told(tmp_path):
    (tmp_path / "hard.txt").write_text("c0\nc1\nlost\n")
    more = ["--subset", str(tmp_path / "hard.txt")]
    assert run_table(tmp_path / "work", FakeTools(), *more) == 0
    text = (tmp_path / "work/table.md").read_text()
    assert "hard: 1 of its 3 clips were not tested, the first is 'lost'." in text
