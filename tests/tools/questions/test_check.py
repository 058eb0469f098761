"""The command: clean files, planted leaks, and what it says about lengths."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from mmfusion.questions import (
    QuestionRecord,
    generic_record,
    load_questions,
    write_questions,
)
from mmfusion.questions.masking import Masker
from mmfusion.questions.parsing import Maker, parse_questions
from mmfusion.questions.report import examine
from mmfusion.questions.writers import TemplateWriter
from tests.ek100_files import prepare_ek100
from tests.questions.ek100_classes import read_ek100, vocabulary_of, write_ek100
from tests.tools.command import run_tool

pytest.importorskip("simplemma")


def _run(*arguments: object) -> CompletedProcess:
    return run_tool("questions/check", *arguments)


def _records(folder: Path) -> list[QuestionRecord]:
    path = write_ek100(folder)
    masker = Masker(vocabulary_of(folder))
    writer = TemplateWriter(masker)
    maker = Maker(writer.model, writer.prompt_sha256, "ground_truth")
    return [
        parse_questions(writer.ask(clip, "", None, 0).text, clip, maker, masker)
        for clip in read_ek100(path)
    ]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., list[object]]:
    def written(**changes: str) -> list[object]:
        records = _records(tmp_path)
        records[0] = replace(records[0], **changes)
        write_questions(tmp_path / "q.jsonl", records)
        return [tmp_path / "q.jsonl", "--annotations", tmp_path / _ANNOTATION]

    return written


_ANNOTATION = "mmfusion/annotation.json"


def test_a_clean_file(write: Callable[..., list[object]]) -> None:
    result = _run(*write())
    assert result.returncode == 0, result.stderr
    assert "leaks: a question holds its own answer: none" in result.stdout
    assert "0 over 40" in result.stdout
    assert "words (no" in result.stdout
    assert "told by an oracle" in " ".join(result.stdout.split())
    assert "leak meter: not measured, 8 clips" in " ".join(result.stdout.split())


PLANTED = {
    "leak": ({"verb_question": "Who grabs it?"}, "leak P01_01_0 (synonym 'grabs')"),
    "other": ({"verb_question": "Is it PLATES?"}, "(upper case 'PLATES')"),
    "own noun": ({"noun_question": "Whose plate's is it?"}, "(possessive 'plate')"),
    "other verb": ({"noun_question": "What is taken?"}, "(past tense 'taken')"),
}


@pytest.mark.parametrize(("changes", "said"), PLANTED.values(), ids=PLANTED)
def test_what_is_planted_is_found(
    write: Callable[..., list[object]], changes: dict[str, str], said: str
) -> None:
    result = _run(*write(**changes), "--no-leak-meter")
    assert result.returncode == 1
    assert said in " ".join(result.stdout.split())
    assert result.stdout.endswith("not clean\n")


def test_files_that_do_not_fit_are_one_line(
    write: Callable[..., list[object]], tmp_path: Path
) -> None:
    arguments = write()
    with (tmp_path / "q.jsonl").open("a") as stream:
        stream.write(json.dumps(asdict(generic_record("P99_01_0"))) + "\n")
    result = _run(*arguments)
    assert result.returncode == 2
    assert "annotation does not have: 'P99_01_0'" in result.stderr
    result = _run(tmp_path / "none.jsonl")
    assert (result.returncode, result.stderr[:7]) == (2, "error: ")


@pytest.mark.slow
def test_the_leak_meter_reads_what_the_words_tell(tmp_path: Path) -> None:
    tells = {"take": "hand", "wash": "sink"}
    records = [
        replace(
            generic_record(f"a{i}"),
            verb_question=f"What about the {tells[verb]}?",
            verb_answer=verb,
            noun_answer=noun,
        )
        for i in range(40)
        for verb, noun in [(["take", "wash"][i % 2], ["plate", "cup"][i // 2 % 2])]
    ]
    write_questions(tmp_path / "q.jsonl", records)
    result = _run(tmp_path / "q.jsonl")
    rows = [line.split("│") for line in result.stdout.splitlines() if "│" in line]
    text_only = {row[1].strip(): row[2].strip() for row in rows if len(row) == 6}
    assert text_only["verb"] == "100.0"
    assert float(text_only["noun"]) <= 60.0
    assert "learnt from the other half, n = 40" in result.stdout


def test_lengths_are_counted_by_the_function_given(tmp_path: Path) -> None:
    report = examine(_records(tmp_path), Masker(), length=len)
    assert report.lengths["verb"].over(40) > 0
    assert report.num_records == 8
    assert report.with_mask["noun"] == 8
    assert report.is_clean


@pytest.mark.slow
def test_the_real_validation_split_is_clean(shared_data: Path, tmp_path: Path) -> None:
    options = ["--out", str(tmp_path), "--actions", "rulstm/actions.csv"]
    prepare_ek100(shared_data / "ek100", *options)
    asked = ["--annotations", tmp_path / "annotation.json", "--split", "val"]
    out = tmp_path / "val.jsonl"
    made = run_tool("questions/generate", *asked, "--out", out, "--limit", "500")
    assert made.returncode == 0, made.stderr
    assert "have no question" in _run(out, *asked).stderr
    result = _run(out, *asked, "--partial", "--no-leak-meter")
    assert result.returncode == 0, result.stdout
    assert len(load_questions(out)) == 500
