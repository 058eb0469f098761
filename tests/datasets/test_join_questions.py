"""Questions of files, joined to records by id, and who chose them."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmfusion.datasets import MultiModalDataset
from mmfusion.questions.generic import generic_record
from mmfusion.questions.records import QuestionFileError, write_questions
from mmfusion.utils.errors import AnnotationError
from tests.ek100_files import make_ek100, prepare_ek100


@pytest.fixture
def root(tmp_path: Path) -> Path:
    prepare_ek100(make_ek100(tmp_path))
    return tmp_path


def _dataset(root: Path, **options: Any) -> MultiModalDataset:
    ann_file = "mmfusion/annotation.json"
    return MultiModalDataset(ann_file, [], data_root=str(root), split="val", **options)


def _write_generic(path: Path, *names: str) -> None:
    write_questions(path, [generic_record(name) for name in names])


def test_questions_are_joined_by_id_with_their_source(root: Path) -> None:
    _write_generic(root / "q.jsonl", "P03_02_1", "P03_02_0")
    dataset = _dataset(root, questions="q.jsonl")
    assert dataset.metainfo["question_source"] == "generic"
    record = dataset.get_record(1)
    assert record["text"]["verb_question"] == generic_record("x").verb_question
    assert record["extra"]["question_source"] == "generic"
    assert _dataset(root, questions="generic").get_record(1) == record
    assert _dataset(root).metainfo["question_source"] is None


def test_faulty_questions_are_named(root: Path) -> None:
    _write_generic(root / "q.jsonl", "P03_02_0")
    with pytest.raises(AnnotationError, match=r"'P03_02_1' has no question in"):
        _dataset(root, questions="q.jsonl")
    _write_generic(root / "q.jsonl", "P03_02_0", "P03_02_1", "P03_02_7")
    with pytest.raises(QuestionFileError, match="not have: 'P03_02_7'"):
        _dataset(root, questions="q.jsonl")
    line = (root / "q.jsonl").read_text().splitlines()[0]
    (root / "q.jsonl").write_text(f"{line}\n{line}\n")
    with pytest.raises(QuestionFileError, match="q.jsonl:2: two questions for the id"):
        _dataset(root, questions="q.jsonl")
    nameless = {**json.loads(line), "narration_id": ""}
    (root / "q.jsonl").write_text(json.dumps(nameless))
    with pytest.raises(QuestionFileError, match="q.jsonl:1: a question without an id"):
        _dataset(root, questions="q.jsonl")


def test_several_files_of_questions_are_joined_only_when_asked(root: Path) -> None:
    _write_generic(root / "a.jsonl", "P03_02_0")
    _write_generic(root / "b.jsonl", "P03_02_1")
    with pytest.raises(ValueError, match="questions names 2 files"):
        _dataset(root, questions=["a.jsonl", "b.jsonl"])
    joined = _dataset(root, questions=["a.jsonl", "b.jsonl"], join_questions=True)
    assert joined.metainfo["question_source"] == "generic"
    with pytest.raises(AnnotationError, match="two questions for the id 'P03_02_0'"):
        _dataset(root, questions=["a.jsonl", "generic"], join_questions=True)


def test_the_accuracy_of_who_chose_the_questions_is_known(root: Path) -> None:
    file = root / "predicted.jsonl"
    write_questions(file, [generic_record(name) for name in ("P03_02_0", "P03_02_1")])
    assert _dataset(root, questions="predicted.jsonl").metainfo["recognisers"] == []
    accuracy = dict(num_labelled=2, verb=50.0, noun=0.0, action=0.0)
    content = dict(recogniser="nano", accuracy=accuracy, bank={})
    beside = root / "predicted.jsonl.meta.json"
    beside.write_text(json.dumps(content))
    found = _dataset(root, questions="predicted.jsonl").metainfo["recognisers"]
    assert found == [dict(recogniser="nano", accuracy=accuracy)]
    for wrong in ({}, [1], {**content, "accuracy": {**accuracy, "verb": None}}):
        beside.write_text(json.dumps(wrong))
        with pytest.raises(AnnotationError, match="meta.json: not what"):
            _dataset(root, questions="predicted.jsonl")
    beside.write_text("[" * 10**5)
    with pytest.raises(AnnotationError, match="meta.json is not valid JSON: nested"):
        _dataset(root, questions="predicted.jsonl")


def test_another_split_is_asked_in_the_same_way(root: Path) -> None:
    train = _dataset(root, questions="generic").with_questions("train", "generic")
    assert [train.get_record(i)["id"] for i in range(2)] == ["P01_01_0", "P01_01_1"]
    assert train.metainfo["question_source"] == "generic"
    assert train.get_record(0)["text"]["verb"] == "do"  # the narrator's own word
