import csv
import io
import json

import numpy as np
import pytest
from rich.console import Console

from mmfusion.analysis.reports import ceiling_of
from mmfusion.analysis.tables import Grid, Report, common_suffix
from mmfusion.evaluation.statistics import MethodResult


def test_names_are_shown_without_what_they_share():
    assert common_suffix(["a_nano_x", "b_nano_x"]) == "_nano_x"
    assert common_suffix(["aa_x", "ba_x"]) == "_x"
    assert common_suffix(["a", "b"]) == common_suffix(["a_x"]) == ""


def test_numbers_are_whole_on_a_narrow_page():
    row = ["RGB (hands missing)", *["100.0 (98 to 100)"] * 7]
    grid = Grid("t", ["of", *"abcdefg"], [row])
    page = io.StringIO()
    grid.show(Console(file=page, width=80))
    assert page.getvalue().count("100.0 (98 to 100)") == 7
    assert {"RGB", "(hands", "missing)"} <= set(page.getvalue().split())


@pytest.mark.parametrize(
    ("streams", "metainfo", "expected"),
    [
        (("video",), {}, 1.0),
        (("video", "text"), dict(question_source="generic"), 2.0),
        (("video", "skeleton", "text"), dict(question_source="generic"), 3.0),
        (("text",), dict(question_source="generic"), 4.0),
        (("video",), dict(metrics={"tau_a=1s/action/top1": 0}), 5.0),
        (("skeleton",), {}, None),
    ],
    ids=["video", "text", "three", "text-only", "anticipation", "unknown"],
)
def test_the_ceiling_is_that_of_the_streams_and_questions(
    tmp_path, streams, metainfo, expected
):
    seen = {"video": 1.0, "video+generic": 2.0, "both+generic": 3.0}
    seen["text_generic"] = 4.0
    split = {"action": seen, "anticipation": {"top1": {"action": {"video": 5.0}}}}
    (tmp_path / "ceilings.json").write_text(json.dumps({"splits": {"val": split}}))
    test_set = dict(data_root=str(tmp_path), split="val")
    assert ceiling_of(test_set, streams, "action", metainfo) == expected


def test_columns_against_one_stream_are_explained():
    ids = ("a", "b")
    results = [
        MethodResult(name, streams, ids, np.array([[True, right]]), (0,))
        for name, streams, right in (
            ("rgb", ("video",), False),
            ("both", ("video", "skeleton"), True),
        )
    ]
    report = Report("action", results)
    assert {"δ_V", "Δ_V (%)"} <= {*report.grids()[0].head}
    notes = [note for note in report.notes() if note.startswith("δ_V")]
    assert len(notes) == 1 and "best model of video alone" in notes[0]
    assert not [n for n in Report("x", results[1:]).notes() if n.startswith("δ")]


def test_a_grid_in_latex_and_in_csv():
    rows = [["a_b & c", "50.00", "—"], ["x, y", "+1.5", "2"]]
    table = Grid("50 % of_it", ["Method", "δ_V", "Δ_S (%)"], rows)
    assert list(csv.reader(table.csv().splitlines())) == [
        ["Method", "δ_V", "Δ_S (%)"],
        ["a_b & c", "50.00", ""],
        ["x, y", "+1.5", "2"],
    ]
    lines = table.latex().splitlines()
    assert lines[2] == r"\caption{50 \% of\_it}"
    assert lines[3] == r"\begin{tabular}{lrr}"
    assert lines[5] == r"Method & $\delta_{V}$ & $\Delta_{S}$ (\%) \\"
    assert lines[7:9] == [r"a\_b \& c & 50.00 & --- \\", r"x, y & +1.5 & 2 \\"]


def test_rows_without_training_are_rivals_and_no_baselines():
    ids, both = tuple(map(str, range(40))), ("video", "skeleton")
    results = [
        MethodResult(name, streams, ids, (np.arange(40) < right)[None], (0,), None, own)
        for name, streams, right, own in (
            ("rgb", ("video",), 20, True),
            ("mix", both, 30, True),
            ("late_fusion", both, 10, False),
            ("linear_video", ("video",), 36, False),
        )
    ]
    report = Report("action", results, remarks=["linear_video: a regression."])
    found = report.as_dict()
    assert found["better_single_stream"] == "rgb" and len(found["pairs"]) == 1
    assert [(p["first"], p["second"]) for p in found["plain_baselines"]] == [
        ("rgb", "linear_video"),
        ("mix", "late_fusion"),
    ]
    text = " ".join(report.notes())
    assert "mix beats late_fusion: +50.00 points" in text
    assert "rgb is worse than linear_video: -40.00" in text and "a regression" in text
    assert "linear_video" in report.grids()[0].markdown()
