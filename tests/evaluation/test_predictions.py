import json

import numpy as np
import pytest
import torch

from mmfusion.evaluation.predictions import (
    from_rows,
    load_predictions,
    prediction_row,
    save_predictions,
)
from mmfusion.structures import ActionDataSample
from mmfusion.utils.errors import InputError


def sample(name, score, **labels):
    """A data sample as metrics receive it."""
    made = ActionDataSample(metainfo={"sample_id": name})
    for task, label in labels.items():
        made.set_field(torch.tensor(label), f"gt_{task}")
    made.set_field(torch.tensor(score), "score_action")
    return made.to_dict()


def rows():
    return [
        prediction_row(sample("a", [0.1, 0.9], action=1)),
        prediction_row(sample("b", [1 / 3, 2 / 3])),
    ]


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_a_file_gives_back_what_was_written(tmp_path, suffix):
    path = tmp_path / f"new folder/predictions{suffix}"
    save_predictions(path, from_rows(rows(), {"classes": {"action": ["x", "y"]}}))
    found = load_predictions(path)
    assert found.ids == ["a", "b"]
    assert found.metainfo == {"classes": {"action": ["x", "y"]}}
    assert found.gt["action"].tolist() == [1, -1]
    expected = np.array([[0.1, 0.9], [1 / 3, 2 / 3]], np.float32)
    assert np.array_equal(found.score["action"], expected)  # to the last bit
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_json_has_the_documented_form(tmp_path):
    save_predictions(tmp_path / "p.json", from_rows(rows()[:1], {"version": 1}))
    content = json.loads((tmp_path / "p.json").read_text())
    assert content["metainfo"] == {"version": 1}
    (row,) = content["predictions"]
    assert row["id"] == "a" and row["gt"] == {"action": 1}
    assert row["score"]["action"] == pytest.approx([0.1, 0.9])


def test_a_clip_without_label_has_no_accuracy():
    with pytest.raises(ValueError, match=r"1 of 2 .* 'action', the first is 'b'"):
        from_rows(rows()).labels("action")
    with pytest.raises(ValueError, match=r"2 of 2 .* 'verb'"):
        from_rows(rows()).labels("verb")


def test_a_clip_counts_once():
    with pytest.raises(ValueError, match="'a'.*unique"):
        from_rows([rows()[0], rows()[0]])


def test_rows_that_do_not_fit_are_named():
    other = {"id": "c", "gt": {}, "score": {"action": np.zeros(3)}}
    with pytest.raises(ValueError, match="'c' has scores of {'action': 3} classes"):
        from_rows([*rows(), other])
    with pytest.raises(ValueError, match="no predictions"):
        from_rows([])


def test_a_sample_without_id_is_refused():
    with pytest.raises(ValueError, match="no sample_id"):
        prediction_row(ActionDataSample().to_dict())


@pytest.mark.parametrize(
    ("name", "text"),
    [("p.pkl", ""), ("p.json", "{"), ("p.json", "{}"), ("p.npz", "PK")],
    ids=["suffix", "cut-off", "other-json", "damaged-npz"],
)
def test_another_file_is_named(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=name):
        load_predictions(tmp_path / name)


_ROW = '{"id": "a", "gt": {"action": 0}, "score": {"action": [0.5, 1]}}'


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("[1]", "prediction 0 is 1; expected an object with 'id'"),
        (_ROW.replace('"a"', '["a"]'), "prediction 0 is .* expected an object"),
        (_ROW.replace("0.5", "NaN"), "the number NaN is no JSON"),
        (_ROW.replace("0.5", "1e39"), "the score of 'action' of 'a' is not finite"),
        (_ROW.replace("0.5", '"x"'), "prediction 0 .id 'a'.: score of 'action' is"),
        (
            _ROW.replace("[0.5, 1]", "3"),
            "0 .id 'a'.: score of 'action' is 3",
        ),
        (
            _ROW.replace('{"action": [0.5, 1]}', "[1]"),
            r"score is \[1\]; expected",
        ),
        (_ROW.replace(": 0}", ": 0.5}"), "prediction 0 .*: gt of 'action' is 0.5"),
        (_ROW.replace(": 0}", f": {10**30}}}"), "has more than 64 bits"),
        (_ROW.replace(": 0}", ": -7}"), "gt of 'action' of 'a' is -7"),
    ],
)
def test_a_row_that_cannot_be_right_is_named(tmp_path, rows, fault):
    path = tmp_path / "p.json"
    rows = rows if rows.startswith("[") else f"[{rows}]"
    path.write_text(f'{{"metainfo": {{}}, "predictions": {rows}}}')
    with pytest.raises(InputError, match=f"p.json is no file of pred.*{fault}"):
        load_predictions(path)
