"""The table of stream reliance on a page."""

import json
from types import SimpleNamespace

import pytest

from mmfusion.analysis.page_reliance import reliance_table
from mmfusion.utils.errors import WorkDirError

TOP1 = {"mean": 50.0, "low": 9.5, "high": 90.5}
ALL = {"kept": ["skeleton", "video"], "accuracy": TOP1, "minus_all": None}
ONE = {"kept": ["video"], "accuracy": TOP1, "minus_all": TOP1, "p_holm": 0.5}


def method(tmp_path, content):
    path = tmp_path / "reliance.json"
    path.write_text(json.dumps(content))
    return SimpleNamespace(name="Fusion", first=SimpleNamespace(reliance_path=path))


def test_the_model_with_all_streams_stands_once(tmp_path):
    ways = [
        {"task": "action", "way": way, "results": [ALL, ONE]}
        for way in ("absent", "swapped")
    ]
    table = reliance_table([method(tmp_path, ways)], "action")
    names = [(row[0], row[1]) for row in table.rows]
    alone = "Fusion: RGB"
    assert names == [
        ("Fusion: RGB + Hands", "—"),
        (alone, "absent"),
        (alone, "swapped"),
    ]


@pytest.mark.parametrize("content", [[{"way": "absent"}], {"task": 1}, [3]])
def test_a_file_of_another_kind_is_named(tmp_path, content):
    with pytest.raises(WorkDirError, match="no table of stream reliance"):
        reliance_table([method(tmp_path, content)], "action")
