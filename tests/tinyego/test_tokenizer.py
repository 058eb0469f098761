"""The small tokenizer that is trained here."""

from pathlib import Path

import pytest

from mmfusion.tinyego.tokenizer import train_tokenizer
from mmfusion.utils.hugging_face import load_tokenizer

TEXTS = ["What does the hand <mask>?", "Which thing is on the table?", "hand over"]


def test_it_has_robertas_special_tokens(tmp_path: Path) -> None:
    train_tokenizer(tmp_path, TEXTS, vocab_size=300)
    tokenizer = load_tokenizer(str(tmp_path))
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert tokenizer.convert_tokens_to_ids(names) == [0, 1, 2, 3, 4]
    assert (tokenizer.mask_token_id, tokenizer.pad_token_id) == (4, 1)
    ids = tokenizer(TEXTS[0])["input_ids"]
    assert (ids[0], ids[-1], ids.count(4)) == (0, 2, 1)
    assert len(tokenizer) <= 300


@pytest.mark.parametrize("text", ["caf\u00e9 \U0001f375", "unseen words, too"])
def test_every_byte_has_a_token(text: str, tmp_path: Path) -> None:
    train_tokenizer(tmp_path, TEXTS)
    tokenizer = load_tokenizer(str(tmp_path))
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_the_order_of_the_sentences_does_not_matter(tmp_path: Path) -> None:
    train_tokenizer(tmp_path / "a", TEXTS)
    train_tokenizer(tmp_path / "b", [*reversed(TEXTS), TEXTS[0]])
    files = [(tmp_path / name / "tokenizer.json").read_bytes() for name in "ab"]
    assert files[0] == files[1]
