"""H2O's answer.zip."""

import json
import zipfile

import pytest

from mmfusion.evaluation.predictions import from_rows
from tools.data.h2o import write_answer


def make_dump(rows=range(1, 243)) -> dict:
    """Row r is predicted as action r % 36 (0-based)."""
    predictions = [
        {
            "id": f"subject4/h1/0#{row}",
            "gt": {},
            "score": {"action": [float(k == row % 36) for k in range(36)]},
        }
        for row in rows
    ]
    return {"metainfo": {}, "predictions": predictions}


def test_archive_holds_every_clip_with_labels_from_one(tmp_path):
    dump, out = tmp_path / "test.json", tmp_path / "answer.zip"
    dump.write_text(json.dumps(make_dump(range(242, 0, -1))))
    write_answer.main([str(dump), "--out", str(out), "--modality", "hand+rgb"])
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == ["action_labels.json"]
        answer = json.loads(archive.read("action_labels.json"))
    assert list(answer) == ["modality", *(str(row) for row in range(1, 243))]
    assert answer["modality"] == "hand+rgb"
    assert (answer["1"], answer["35"], answer["36"]) == (2, 36, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.pop(), r"1 of 242 test clips are not among .* dump: \[242\]"),
        (lambda p: p.append(p[0]), "came more than once, the first is .subject4/h1/0#1'"),
        (lambda p: p[0].update(id="subject1/h1/0#1"), "expected one of the test split"),
        (lambda p: p[0].update(id="subject4/h1/0#243"), r"expected a row 1\.\.242"),
        (lambda p: [x["score"].update(action=[0.5] * 35) for x in p], "36 finite numbers"),
        (lambda p: p[0]["score"].update(action=[0.5] * 35), "expected the same"),
        (lambda p: p[0]["score"].update(action=[float("nan")] * 36), "finite numbers"),
    ],
    ids=["missing", "twice", "train clip", "row", "classes", "mixed", "nan"],
)
def test_incomplete_dump_is_refused(change, message):
    dump = make_dump()
    change(dump["predictions"])
    with pytest.raises(ValueError, match=message):
        write_answer.labels_of(from_rows(dump["predictions"]))
