"""A key that stands twice in an object is an error, at any depth."""

import json

import pytest

from mmfusion.utils.text_files import RepeatedKeyError, no_key_twice


def test_a_key_twice_is_refused_at_any_depth():
    text = '{"a": [{"b": 1, "c": 2, "b": 1}]}'
    with pytest.raises(RepeatedKeyError, match="the key 'b' stands twice"):
        json.loads(text, object_pairs_hook=no_key_twice)


def test_the_same_key_in_two_objects_is_none():
    text = '{"a": {"a": 1}, "b": [{"a": 2}, {"a": 3}]}'
    assert json.loads(text, object_pairs_hook=no_key_twice) == json.loads(text)
