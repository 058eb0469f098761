"""The annotation format: what is right is read back, what is wrong is named."""

import contextlib
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmfusion.datasets.annotation import (
    check_metainfo,
    check_records,
    load_annotation,
    write_annotation,
)
from mmfusion.datasets.annotation_schema import (
    Metainfo,
    Record,
)
from mmfusion.utils.errors import AnnotationError

METAINFO = {
    "version": 1,
    "dataset": "h2o",
    "classes": {"action": ["grab book", "open box"], "verb": ["grab", "open"]},
    "skeleton": {"layout": "openpose21", "hands": ["left", "right"]},
}
RECORD = {
    "id": "subject1/h1/0#16",
    "group": "subject1/h1/0",
    "split": "train",
    "video": None,
    "frame_dir": "subject1/h1/0/cam4/rgb",
    "filename_tmpl": "{:06d}.jpg",
    "start_index": 0,
    "total_frames": 450,
    "start_sec": 0.0,
    "end_sec": 2.0667,
    "start_frame": 0,
    "end_frame": 61,
    "index_fps": 30.0,
    "skeleton": {"file": "skeleton/subject1_h1_0.npz"},
    "label": {"action": 1, "verb": 0},
    "camera": {
        "fx": 636.0,
        "fy": 636,
        "cx": 635,
        "cy": 366,
        "width": 1280,
        "height": 720,
    },
}


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_written_is_read_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / "new" / name
    small = {"id": "b", "start_sec": 0, "end_sec": None, "label": {}, "video": "ü.mp4"}
    write_annotation(path, METAINFO, [RECORD, small])
    metainfo, records = load_annotation(str(path))
    assert os.listdir(path.parent) == [name]
    assert metainfo == {**dict.fromkeys(Metainfo.model_fields), **METAINFO}
    assert list(records[0]) == list(Record.model_fields)
    assert {key: records[0][key] for key in RECORD} == RECORD
    assert records[1]["start_index"] == 0 and records[1]["skeleton"] is None


def test_windows_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    text = "\r\n".join([json.dumps({"metainfo": METAINFO}), json.dumps(RECORD), ""])
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert len(load_annotation(str(path))[1]) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"label": {"action": 2}},
            r"label.action is 2; expected .* 0\.\.1.*subtract 1",
        ),
        (
            {"label": {"action": -1}},
            r"label.action is -1; expected an integer in 0\.\.1",
        ),
        ({"label": {"action": True}}, r"label.action is True; expected an integer"),
        ({"label": {"action": 0.5}}, r"label.action is 0.5; expected an integer"),
        (
            {"label": {"actoin": 0}},
            r"task 'actoin'; expected one of \['action', 'verb'\]",
        ),
        ({"label": [0]}, r"label is \[0\]; expected \{task"),
        ({"labels": {}}, r"unknown key 'labels'; did you mean 'label'\?"),
        ({"weird": 0}, r"unknown key 'weird'; known: \['id', .*'extra'"),
        ({"start_sec": -0.1}, r"start_sec is -0.1; expected seconds >= 0"),
        ({"start_sec": math.nan}, r"start_sec is nan; expected seconds"),
        ({"end_sec": math.inf}, r"end_sec is inf; expected seconds"),
        ({"end_sec": 10**400}, r"end_sec is 1000.*\.\.\.; expected seconds"),
        ({"start_sec": "0"}, r"start_sec is '0'; expected seconds"),
        ({"start_sec": 3.0}, r"end_sec is 2.0667 and start_sec 3.0; .*reversed"),
        ({"start_sec": 2.0667}, r"zero frames"),
        ({"end_frame": -1}, r"end_frame is -1; expected"),
        ({"start_frame": 62}, r"end_frame is 61 and start_frame 62; .*zero frames"),
        ({"total_frames": 0}, r"total_frames is 0; expected .* >= 1"),
        ({"start_index": None}, r"start_index is None; expected"),
        ({"index_fps": 0}, r"index_fps is 0; expected frames per second"),
        ({"index_fps": None}, r"index_fps is missing; .* as there is a frame_dir"),
        ({"frame_dir": "../x"}, r"frame_dir is '\.\./x'; expected a relative path"),
        ({"video": "http://x/a.mp4"}, r"video is .*; expected a relative path"),
        ({"skeleton": {"file": "/x.npz"}}, r"skeleton is .*; expected"),
        ({"skeleton": {"path": "x.npz"}}, r"skeleton is .*; expected"),
        (
            {"frame_dir": None, "skeleton": None},
            r"has no stream; expected at least one",
        ),
        ({"filename_tmpl": "a.jpg"}, r"filename_tmpl is 'a.jpg'; expected"),
        ({"frame_ids": [3, 3]}, r"frame_ids is \[3, 3\]; expected a list of rising"),
        ({"frame_ids": []}, r"frame_ids is \[\]; expected"),
        ({"camera": {"fx": 1}}, r"camera is .*; expected numbers fx"),
        ({"text": {"narration": 3}}, r"text is .*; expected"),
        ({"id": ""}, r"id is ''; expected a printable string"),
        ({"id": "a\nb"}, r"id is 'a\\nb'; expected a printable"),
        ({"id": 5}, r"id is 5; expected a printable"),
    ],
    ids=str,
)
def test_wrong_record_is_named(change: dict, message: str) -> None:
    good = {**RECORD, "id": "first"}
    where = r"ann\.json: record 1( \(id 'subject1/h1/0#16'\))?:? ?.*"
    with pytest.raises(AnnotationError, match=f"(?s){where}{message}"):
        check_records([good, {**RECORD, **change}], METAINFO, "ann.json")


@pytest.mark.parametrize("key", ["id", "start_sec", "end_sec", "label"])
def test_missing_key_is_named(key: str) -> None:
    record = {name: value for name, value in RECORD.items() if name != key}
    with pytest.raises(AnnotationError, match=f"record 0.*lacks the key '{key}'"):
        check_records([record], METAINFO, "ann.json")


def test_duplicate_id_names_both_places() -> None:
    with pytest.raises(AnnotationError, match="record 1 .*was used in record 0"):
        check_records([RECORD, RECORD], METAINFO, "ann.json")


@pytest.mark.parametrize(
    ("metainfo", "message"),
    [
        ({**METAINFO, "version": 2}, "version is 2; expected 1"),
        ({**METAINFO, "version": True}, "version is True; expected 1"),
        ({**METAINFO, "clases": {}}, "'clases'; did you mean 'classes'"),
        ({**METAINFO, "classes": {"action": []}}, "classes is .*; expected"),
        ({"version": 1, "classes": {}}, "lacks the key 'dataset'"),
        ([], r" is \[\]; expected an object"),
    ],
    ids=str,
)
def test_wrong_metainfo_is_named(metainfo: Any, message: str) -> None:
    with pytest.raises(AnnotationError, match=f"ann.json: metainfo.*{message}"):
        check_metainfo(metainfo, "ann.json")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON: byte 0 is not UTF-8"),
        (b"[]", r"holds 'list'; expected an object"),
        (b'{"data_list": []}', "expected an object with the keys"),
        (b'{"metainfo": {}, "data_list": {}}', "data_list is {}; expected a list"),
        (b'{"metainfo": 1, "metainfo": 2}', "'metainfo' stands twice"),
        (b"[" * 10**5, "not valid JSON: nested too deeply"),
        (b"9" * 10**4, "not valid JSON"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_wrong_file_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "ann.json"
    path.write_bytes(data)
    with pytest.raises(AnnotationError, match=f"ann.json.*{message}"):
        load_annotation(str(path))


def test_wrong_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"metainfo": METAINFO}), "", json.dumps({**RECORD, "id": 1})]
    path.write_text("\n".join(lines))
    with pytest.raises(AnnotationError, match="a.jsonl: line 3: id is 1"):
        load_annotation(str(path))
    path.write_text("\n".join([*lines[:2], "{"]))
    with pytest.raises(AnnotationError, match="a.jsonl: line 3 is not valid JSON"):
        load_annotation(str(path))
    path.write_text(json.dumps(RECORD))
    with pytest.raises(AnnotationError, match="first line is .*metainfo"):
        load_annotation(str(path))


@pytest.mark.parametrize("path", ["missing.json", "nul\0.json", "."])
def test_unreadable_file_is_named(path: str) -> None:
    with pytest.raises(AnnotationError, match="cannot be read"):
        load_annotation(path)


def test_nothing_wrong_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_annotation(path, METAINFO, [RECORD])
    before = path.read_bytes()
    with pytest.raises(AnnotationError):
        write_annotation(path, METAINFO, [{**RECORD, "label": {"action": 9}}])
    with pytest.raises(ValueError, match="JSON"):
        write_annotation(path, METAINFO, [{**RECORD, "extra": {"a": math.nan}}])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("template", "good"),
    [
        ("{:06d}.jpg", True),
        ("img_{:05}.jpg", True),
        ("frame_{:010d}.jpg", True),
        ("{0}.png", True),
        ("{:06d}/{:06d}.jpg", False),
        ("../{:06d}.jpg", False),
        ("{0.__class__}.jpg", False),
        ("{0[a]}.jpg", False),
        ("{!r}.jpg", False),
        ("{name}.jpg", False),
        ("{:999999999d}.jpg", False),
        ("{:{}d}.jpg", False),
        ("{", False),
        ("a.jpg", False),
    ],
)
def test_frame_template(template: str, good: bool) -> None:
    records = [{**RECORD, "filename_tmpl": template}]
    if good:
        assert check_records(records, METAINFO, "ann.json")
        assert "7" in template.format(7)
        return
    with pytest.raises(AnnotationError, match="filename_tmpl is .*; expected a file"):
        check_records(records, METAINFO, "ann.json")


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["../a", "/etc", "=1+1", "\0", "\ud800", "x" * 5000]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner)
    ),
    max_leaves=4,
)
_records = st.fixed_dictionaries(
    {},
    optional={
        key: _values | st.just(RECORD.get(key)) for key in [*Record.model_fields, "idd"]
    },
)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(list(Record.model_fields)), _values, max_size=3))
def test_fuzzed_value_is_taken_or_named(change: dict) -> None:
    with contextlib.suppress(AnnotationError):
        checked = check_records([{**RECORD, **change}], METAINFO, "ann.json")
        assert list(checked[0]) == list(Record.model_fields)


@settings(max_examples=200)
@given(_records | _values)
def test_fuzzed_record_is_taken_or_named(record: Any) -> None:
    with contextlib.suppress(AnnotationError):
        check_records([record], METAINFO, "ann.json")


@settings(max_examples=200)
@given(st.binary(max_size=40), st.integers(0, 2000), st.integers(0, 3))
def test_fuzzed_file_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, at: int, cut: int
) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz.json{'l' * (cut % 2)}"
    lines = [{"metainfo": METAINFO}, RECORD]
    whole = {"metainfo": METAINFO, "data_list": [RECORD]}
    text = "\n".join(map(json.dumps, lines)) if cut % 2 else json.dumps(whole)
    good = text.encode()
    at %= len(good)
    path.write_bytes(good[:at] + data + good[at + cut :])
    with contextlib.suppress(AnnotationError):
        load_annotation(str(path))


def test_a_split_may_be_anything_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    content = {"metainfo": {}, "data_list": [{"split": ["x"]}, {"split": {}}]}
    content["metainfo"] = {"version": 1, "dataset": "toy", "classes": {}}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="split 'train' selects none of the 2 records"):
        load_annotation(str(path), "train")


@pytest.mark.parametrize(
    ("skeleton", "message"),
    [
        ({"unit": "inch"}, r"skeleton is .*unit: .*not one of \['m', 'cm', 'mm', 'px'"),
        ({"unit": ["m"]}, "skeleton is .*skeleton.unit"),
        ({"layout": ["h2o"]}, "skeleton is .*skeleton.layout"),
        ({"hands": 2}, "skeleton is .*skeleton.hands"),
        ({"hands": ["left", "left"]}, ".*a name comes twice"),
        ({"num_joints": 0}, "skeleton is .*skeleton.num_joints"),
    ],
    ids=str,
)
def test_metainfo_says_what_skeletons_are(skeleton: dict, message: str) -> None:
    metainfo = {"version": 1, "dataset": "d", "classes": {}, "skeleton": skeleton}
    with pytest.raises(AnnotationError, match=f"a.json: metainfo: {message}"):
        check_metainfo(metainfo, "a.json")
    known = {"unit": "mm", "hands": ["left"], "layout": "mine", "own key": 1}
    made = check_metainfo({**metainfo, "skeleton": known}, "a.json")
    assert made["skeleton"] == known
