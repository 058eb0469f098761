import runpy
from pathlib import Path

import numpy as np
import pytest

from mmfusion.evaluation.challenge import read_submission
from mmfusion.evaluation.predictions import Predictions, save_predictions
from tests.ek100_files import HEAD, segment_row, write_csv

TOOL = Path(__file__).resolve().parents[4] / "tools/data/ek100/write_challenge.py"
main = runpy.run_path(str(TOOL))["main"]
IDS = ["P01_101_0", "P01_101_1"]
PAIRS = [[0, 0], [1, 2], [1, 1]]


@pytest.fixture
def root(tmp_path):
    rows = [segment_row(name, 1.0, 2.0, 0, 0)[:8] for name in IDS]
    write_csv(tmp_path / "EPIC_100_test_timestamps.csv", [HEAD[:8], *rows])
    for task, size in (("verb", 2), ("noun", 3)):
        names = [f"{task}{i}" for i in range(size)]
        rows = [[i, name, [name], ""] for i, name in enumerate(names)]
        head = ["id", "key", "instances", "category"]
        write_csv(tmp_path / f"EPIC_100_{task}_classes.csv", [head, *rows])
    return tmp_path


def dump(root, ids=IDS, heads=("verb", "noun"), **metainfo):
    rng = np.random.default_rng(0)
    sizes = dict(verb=2, noun=3, action=3)
    score = {t: rng.dirichlet([1] * sizes[t], len(ids)) for t in heads}
    score = {t: s.astype(np.float32) for t, s in score.items()}
    path = root / "dump.npz"
    save_predictions(path, Predictions(list(ids), score, {}, metainfo))
    return path


def run(root, *arguments):
    return main([*map(str, arguments), "--task", "recognition", "--root", str(root)])


def test_a_dump_without_labels_becomes_a_file_that_passes(root, capsys):
    out = root / "test.zip"
    assert run(root, dump(root), out, "--supervision", 2, 5, 3) == 0
    assert "2 segments, complete" in capsys.readouterr().out
    content = read_submission(out)
    assert content["sls_tl"] == 5 and list(content["results"]) == IDS
    assert len(content["results"][IDS[0]]["action"]) == 6
    assert run(root, "--check", out) == 0


def test_an_action_head_alone_is_enough(root):
    out = root / "test.zip"
    made = dump(root, heads=["action"], action_pairs=PAIRS)
    assert run(root, made, out, "--supervision", 2, 5, 3) == 0
    entry = read_submission(out)["results"][IDS[0]]
    assert sorted(entry["action"]) == ["0,0", "1,1", "1,2"]
    assert set(entry["verb"]) == {"0", "1"}


def test_another_split_is_refused_by_name(root, capsys):
    made = dump(root, ids=["P01_101_0", "P99_1_0"])
    assert run(root, made, root / "x.zip", "--supervision", 2, 5, 3) == 2
    assert "error: missing id: no results for P01_101_1" in capsys.readouterr().err
    assert not list(root.rglob("*.zip"))


@pytest.mark.parametrize(
    ("heads", "metainfo", "match"),
    [
        (["verb"], {}, "scores of ['verb']; expected verb and noun"),
        (["action"], {}, "scores of 3 actions, but the dataset's metainfo has 0 action_pairs"),
    ],
    ids=["verb-only", "no-pairs"],
)
def test_a_dump_that_lacks_something_is_named(root, capsys, heads, metainfo, match):
    made = dump(root, heads=heads, **metainfo)
    assert run(root, made, root / "x.zip", "--supervision", 2, 5, 3) == 2
    assert match in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["dump.npz"], ["--check", "a", "b"], ["dump.npz", "x.zip"]]
)
def test_wrong_commands(root, arguments):
    with pytest.raises(SystemExit) as caught:
        run(root, *arguments)
    assert caught.value.code == 2
