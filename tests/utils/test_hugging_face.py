import sys

import pytest

from mmfusion.utils.hugging_face import import_transformers, load_tokenizer


def test_without_transformers_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install -r requirements/optional\.txt"):
        import_transformers()


def test_a_tokenizer_that_is_not_here_names_the_command():
    with pytest.raises(
        OSError, match='hf download nobody/nothing --include "\\*.json"'
    ):
        load_tokenizer("nobody/nothing")


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(OSError, match=str(tmp_path)):
        load_tokenizer(str(tmp_path))


def test_a_folder_that_is_not_there_is_no_name_on_the_hub():
    with pytest.raises(OSError, match="no folder 'data/none/tokenizer'") as caught:
        load_tokenizer("data/none/tokenizer")
    assert "hf download" not in str(caught.value)
