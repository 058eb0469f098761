"""The command: labels of the dump change nothing but the accuracy it reports."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from mmfusion.evaluation.predictions import Predictions, save_predictions
from mmfusion.questions import load_questions
from tests.questions.ek100_classes import write_ek100
from tests.tools.command import run_tool

pytest.importorskip("simplemma")
IDS = [f"P09_01_{i}" for i in range(12)]


def _run(tool: str, *arguments: object) -> CompletedProcess:
    return run_tool(f"questions/{tool}", *arguments)


def _dump(path: Path, ids: list[str], seed: int) -> None:
    rng, labels = np.random.default_rng(0), np.random.default_rng(seed)
    score = {task: rng.random((len(ids), k), np.float32) for task, k in SIZES.items()}
    gt = {task: labels.integers(0, k, len(ids)) for task, k in SIZES.items()}
    save_predictions(path, Predictions(ids, score, gt, {"tau_a": 1.0}))


SIZES = {"verb": 5, "noun": 6}


@pytest.fixture
def train(tmp_path: Path) -> list[object]:
    annotation = write_ek100(tmp_path)
    out = tmp_path / "train.jsonl"
    arguments = ["--annotations", annotation, "--out", out]
    result = _run("generate", *arguments)
    assert result.returncode == 0, result.stderr
    given = ["--annotations", annotation, "--train-split", "val"]
    return ["--train-questions", out, *given]


@pytest.mark.slow
def test_labels_change_the_accuracy_and_nothing_else(
    tmp_path: Path, train: list[object]
) -> None:
    made = []
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        _dump(folder / "dump.npz", IDS, seed)
        given = ["--predictions", folder / "dump.npz", "--out", folder / "out.jsonl"]
        result = _run("from_predictions", *given, *train, "--recogniser", "nano")
        assert result.returncode == 0, result.stderr
        meta = json.loads((folder / "out.jsonl.meta.json").read_text())
        made.append(((folder / "out.jsonl").read_bytes(), meta))
    (first, meta), (second, other) = made
    assert first == second
    assert meta["accuracy"] != other["accuracy"]
    assert meta["found_on"] == other["found_on"]
    assert sum(meta["found_on"].values()) == meta["num_clips"] == len(IDS)
    assert meta["predictions"]["metainfo"] == {"tau_a": 1.0}
    records = load_questions(tmp_path / "1/out.jsonl", known=IDS, needed=IDS)
    assert {record.source for record in records.values()} == {"predicted"}
    assert records[IDS[0]].model == "nano asking template-1"


def test_ties_count_against_the_label_as_in_the_metric(
    tmp_path: Path, train: list[object]
) -> None:
    """Verb 0 shares the highest score with verb 1; noun 2 has it alone."""
    score = {"verb": [[0.4, 0.4, 0.1, 0.1, 0.0]], "noun": [[0, 0, 1, 0, 0, 0]]}
    arrays = {task: np.array(rows, np.float32) for task, rows in score.items()}
    gt = {"verb": np.array([0]), "noun": np.array([2])}
    save_predictions(tmp_path / "dump.npz", Predictions(IDS[:1], arrays, gt, {}))
    out = tmp_path / "out.jsonl"
    given = ["--predictions", tmp_path / "dump.npz", "--out", out]
    result = _run("from_predictions", *given, *train)
    assert result.returncode == 0, result.stderr
    found = json.loads(out.with_name("out.jsonl.meta.json").read_text())["accuracy"]
    assert found == dict(num_labelled=1, verb=0.0, noun=100.0, action=0.0)


def test_a_recogniser_with_an_action_head_only_will_do(
    tmp_path: Path, train: list[object]
) -> None:
    """Its actions are (verb 0, noun 1) and (verb 4, noun 5), the second the best."""
    score = {"action": np.array([[0.3, 0.7]], np.float32)}
    meta = {"action_pairs": [[0, 1], [4, 5]]}
    save_predictions(tmp_path / "dump.npz", Predictions(IDS[:1], score, {}, meta))
    given = ["--predictions", tmp_path / "dump.npz", "--out", tmp_path / "out.jsonl"]
    result = _run("from_predictions", *given, *train)
    assert result.returncode == 0, result.stderr
    record = load_questions(tmp_path / "out.jsonl")[IDS[0]]
    assert (record.verb_answer, record.noun_answer) == ("cut", "tomato")


def test_evaluated_clips_in_the_bank_are_refused(
    tmp_path: Path, train: list[object]
) -> None:
    _dump(tmp_path / "dump.json", ["P01_01_0", "P01_01_1"], 0)
    given = ["--predictions", tmp_path / "dump.json", "--out", tmp_path / "out.jsonl"]
    result = _run("from_predictions", *given, *train)
    assert result.returncode == 2
    assert "2 clips of the dump are in the bank, the first is 'P01" in result.stderr


def test_other_classes_are_refused(tmp_path: Path, train: list[object]) -> None:
    one = np.zeros((1, 3), np.float32)
    path = tmp_path / "dump.npz"
    save_predictions(path, Predictions(["a"], {"verb": one, "noun": one}, {}))
    given = ["--predictions", path, "--out", tmp_path / "out.jsonl"]
    result = _run("from_predictions", *given, *train)
    assert result.returncode == 2
    assert "scores of 3 verb classes, and there are 5 names" in result.stderr
