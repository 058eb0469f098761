import json

import pytest

from mmfusion.analysis.curves import curves_of, names_of
from tests.tools.command import main_of

main = main_of("analysis/curves")


def log(folder, part, epochs):
    """Log of two steps an epoch and a validation after each."""
    path = folder / part / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    lines = []
    for epoch in epochs:
        for step in (1, 2):
            number = 2 * (epoch - 1) + step
            lines.append({"loss": 10.0 - number, "epoch": epoch, "iter": number})
        lines.append({"action/top1": 10.0 * epoch, "step": epoch})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def runs(tmp_path):
    """One run in one go, one that was cut off in epoch 3 and continued from 2."""
    log(tmp_path / "a", "20260101_000000", [1, 2, 3, 4])
    log(tmp_path / "b", "20260101_000000", [1, 2, 3])
    log(tmp_path / "b", "20260101_000001", [3, 4])
    return [tmp_path / "a", tmp_path / "b"]


def test_a_continued_run_has_the_curve_of_one_that_was_not(runs):
    for key in ("loss", "action/top1"):
        found = curves_of(runs, key)
        assert found["a"] == found["b"]
        epochs = [x for x, _ in found["b"]]
        assert epochs == sorted(set(epochs))
        assert epochs[-1] == 4
    assert found["a"] == [(1, 10), (2, 20), (3, 30), (4, 40)]


def test_one_picture_of_all_runs_and_keys(runs, tmp_path, capsys):
    out = tmp_path / "x.png"
    assert main([*map(str, runs), "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_one_line(runs, tmp_path, capsys):
    for arguments, message in (
        (
            [*runs, "--keys", "los"],
            "no run logged 'los'; there are action/top1,",
        ),
        ([tmp_path / "c"], "c has no */vis_data/scalars.json"),
        ([runs[0], runs[0]], "a run is given twice"),
        ([runs[0], "--out", "x.pdf"], "expected a name in .png"),
    ):
        assert main([str(one) for one in arguments]) == 2
        err = capsys.readouterr().err
        assert message in err and err.count("\n") == 1


def test_names_are_what_differs(tmp_path):
    paths = [tmp_path / "m" / "seed0", tmp_path / "n" / "seed0"]
    assert names_of(paths) == ["m/seed0", "n/seed0"]
    assert names_of(paths[:1]) == ["seed0"]
