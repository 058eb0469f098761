"""The benchmark of the start, on commands of this test."""

import pytest
import startup

from mmfusion.utils.errors import InputError


def test_each_mark_is_timed_as_its_line_comes(tmp_path):
    code = "print('x [1][ 1/37]'); print('[1][19/37] [1][20/37]'); print('not read')"
    marks = {"first": r"\[1\]\[ *1/", "later": r"\[1\]\[ *20/"}
    found = startup.sample(startup.Start(["-c", code], marks), tmp_path)
    assert list(found) == ["first", "later"]
    assert 0 < found["first"].wall <= found["later"].wall
    pairs = {"step": {"this": [found["first"]], "other": [found["later"]]}}
    assert startup.table(pairs).splitlines()[2].startswith("| step | ")


def test_a_command_that_ends_before_its_mark_is_shown(tmp_path):
    start = startup.Start(["-c", "raise SystemExit('no data')"], {"step": "never"})
    with pytest.raises(InputError, match="no data"):
        startup.sample(start, tmp_path)
