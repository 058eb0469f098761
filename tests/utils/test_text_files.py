"""Text and JSON of strangers: bounded, strict, and every fault with file and line."""

import json
import os
from pathlib import Path

import pytest

from mmfusion.utils.errors import AnnotationError, InputError
from mmfusion.utils.text_files import (
    RepeatedKeyError,
    decode_json,
    no_key_twice,
    read_json,
    read_lines,
    read_names,
    read_raw_lines,
)
from tests.campaigns.asserting import bounded_memory


def test_a_key_twice_is_refused_at_any_depth():
    text = '{"a": [{"b": 1, "c": 2, "b": 1}]}'
    with pytest.raises(RepeatedKeyError, match="the key 'b' stands twice"):
        json.loads(text, object_pairs_hook=no_key_twice)


def test_the_same_key_in_two_objects_is_none():
    text = '{"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}]}'
    assert json.loads(text, object_pairs_hook=no_key_twice) == json.loads(text)


@pytest.mark.parametrize("number", ["1e400", "-1e999", "NaN", "Infinity", str(2**63)])
def test_a_number_that_nothing_holds_is_named_with_its_line(number: str) -> None:
    with pytest.raises(InputError, match=rf"the number {number} .*: line 2"):
        decode_json(f'{{"a": 1,\n"b": {number}}}'.encode())


def test_numbers_of_64_bits_are_read_as_they_are() -> None:
    text = f"[{2**63 - 1}, {-(2**63)}, 1e308, -0.0]"
    assert decode_json(text.encode()) == json.loads(text)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(10**9)  # a gigabyte that takes no place on the disk
    with bounded_memory(64):
        with pytest.raises(AnnotationError, match="a.json has 1000000000 bytes"):
            read_json(path)
        with pytest.raises(AnnotationError, match="a.json:1: the line is longer than"):
            next(read_lines(path))


def test_a_line_is_bounded_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"\xef\xbb\xbfa 1\r\n \n\x0bb\xe2\x80\xa8c 2\n")
    # a form feed or U+2028 begins no line
    assert list(read_lines(path)) == [(1, "a 1"), (3, "b\u2028c 2")]
    with pytest.raises(AnnotationError, match="list.txt:3: the line is longer than 8"):
        list(read_raw_lines(path, max_bytes=8))


@pytest.mark.parametrize(("byte", "fault"), [(b"\xe9", "not UTF-8"), (b"\0", "NUL")])
def test_bytes_that_are_no_text_are_named(byte: bytes, fault: str, tmp_path: Path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"a 1\nb" + byte + b" 2\n")
    with pytest.raises(AnnotationError, match=rf"list.txt:2: .*{fault}"):
        list(read_lines(path))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(AnnotationError, match="a device or a pipe"):
        read_json(tmp_path / "pipe")


def test_a_blank_line_would_number_every_later_class_anew(tmp_path: Path) -> None:
    path = tmp_path / "names.txt"
    path.write_text("grab\nopen box\n\n")
    assert read_names(path) == ["grab", "open box"]
    path.write_text("grab\n\nopen box\n")
    with pytest.raises(
        AnnotationError, match="names.txt:2: the line is blank.*class 1"
    ):
        read_names(path)
    path.write_text("\n")
    with pytest.raises(AnnotationError, match="names.txt is empty"):
        read_names(path)
