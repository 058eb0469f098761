"""A few of the fuzzed rows of each format, and that the campaign can fail."""

from pathlib import Path

import pytest

from tests.campaigns import fuzzed_rows
from tests.campaigns.campaign import run_trials
from tests.campaigns.fuzzed_rows import trial
from tests.campaigns.row_formats import FORMATS, Format


def test_hostile_rows_are_read_or_refused_with_their_place(tmp_path: Path) -> None:
    counts = run_trials(trial, range(4 * len(FORMATS)), tmp_path)
    assert counts.broken == {}
    assert counts.outcomes["refused"] > len(FORMATS)
    assert counts.outcomes["read"] + counts.outcomes["read as before"] > 10


def _raw(path: Path) -> dict:
    return {"a": int(path.read_bytes())}


def _silent(path: Path) -> dict:
    return {"a": path.read_bytes()[:1], "b": 1e999}


@pytest.mark.parametrize("reader", [_raw, _silent], ids=["raw error", "bad value"])
def test_a_careless_reader_breaks_the_rule(
    reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    careless = Format("n.txt", reader, table=(("1",), ("2",)), numbers=frozenset({0}))
    monkeypatch.setattr(fuzzed_rows, "FORMATS", (careless,))
    monkeypatch.setattr(fuzzed_rows, "_RIGHT", {0: {"a": 1}})
    assert len(run_trials(trial, range(8), tmp_path).broken) > 4
