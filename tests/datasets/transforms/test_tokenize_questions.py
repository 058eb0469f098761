"""Questions as the text encoder gets them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mmfusion.datasets.transforms import PackInputs, TokenizeQuestions
from mmfusion.datasets.transforms.tokenize_questions import load_tokenizer
from mmfusion.tinyego.tokenizer import train_tokenizer

VERB, NOUN = "What happens to the <mask>?", "They <mask> something sweet: what is it?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(path, [VERB, NOUN] * 3, vocab_size=320)
    yield str(path)
    load_tokenizer.cache_clear()


def _results(verb: str = VERB, noun: str = NOUN, **more: object) -> dict:
    text = {"verb_question": verb, "noun_question": noun}
    return {"sample_id": "P01_01_0", "text": text, **more}


def test_two_questions_make_two_rows(folder: str) -> None:
    results = TokenizeQuestions(folder)(_results())
    tokens, mask = results["tokens"], results["tokens_mask"]
    assert tokens.shape == mask.shape == (1, 2, 40)
    assert tokens.dtype == np.int64 and mask.dtype == bool
    tokenizer = load_tokenizer(folder)
    for row, text in enumerate((VERB, NOUN)):
        length = int(mask[0, row].sum())
        assert mask[0, row, :length].all()
        kept = tokens[0, row, :length].tolist()
        assert (kept[0], kept[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
        assert kept.count(tokenizer.mask_token_id) == 1
        plain = tokenizer.decode(kept[1:-1])
        assert plain.replace(" ", "") == text.replace(" ", "")
        assert (tokens[0, row, length:] == tokenizer.pad_token_id).all()


def test_the_mask_is_written_as_the_tokenizer_writes_it(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = load_tokenizer(folder)
    before = TokenizeQuestions(folder)(_results("a <mask> b"))["tokens"]
    by_hand = tokenizer(f"a {tokenizer.mask_token} b")["input_ids"]
    assert before[0, 0, : len(by_hand)].tolist() == by_hand


def test_a_question_that_just_fits_is_whole(folder: str) -> None:
    length = int(TokenizeQuestions(folder)(_results())["tokens_mask"].sum(-1).max())
    for size, cut in ((length + 1, 0), (length, 0), (length - 1, 1)):
        transform = TokenizeQuestions(folder, max_length=size)
        mask = transform(_results())["tokens_mask"]
        assert transform.num_truncated == cut
        assert mask.sum(-1).max() == min(size, length)


def test_order_and_source_go_on(folder: str) -> None:
    transform = TokenizeQuestions(folder, question_tasks=("noun", "verb"))
    meta = {"question_source": "predicted+generic"}
    results = transform(_results(ann_meta=meta, extra={"question_source": "predicted"}))
    assert results["question_source"] == "predicted"
    assert results["text"]["noun_question"] == NOUN
    straight = TokenizeQuestions(folder)(_results(ann_meta=meta))
    assert straight["question_source"] == "predicted+generic"
    np.testing.assert_array_equal(results["tokens"][:, ::-1], straight["tokens"])
    packed = PackInputs(streams=("text",))(results)
    assert packed["inputs"]["text"].dtype == torch.int64
    assert packed["inputs"]["text_mask"].dtype == torch.bool
    assert packed["data_samples"].metainfo["question_tasks"] == ("noun", "verb")


def test_long_questions_are_cut_and_counted(folder: str) -> None:
    transform = TokenizeQuestions(folder, max_length=6)
    results = transform(_results())
    assert results["tokens"].shape == (1, 2, 6) and results["tokens_mask"].all()
    assert (results["tokens"][0, :, -1] == load_tokenizer(folder).eos_token_id).all()
    assert transform.num_truncated == 2
    assert TokenizeQuestions(folder, max_length=6).num_truncated == 0


@pytest.mark.parametrize("text", [None, {}, {"verb_question": VERB}])
def test_a_lacking_question_is_named(folder: str, text: dict | None) -> None:
    results = {"sample_id": "P01_01_0", "text": text}
    with pytest.raises(ValueError, match="'P01_01_0' has no (verb|noun)_question"):
        TokenizeQuestions(folder)(results)


@pytest.mark.parametrize("text", ["\U0001f600" * 50, "x" * 2000, "שלום <mask>"])
def test_any_text_makes_a_row(folder: str, text: str) -> None:
    assert TokenizeQuestions(folder)(_results(text))["tokens"].shape == (1, 2, 40)


def test_wrong_arguments_are_named(folder: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_length: got 2"):
        TokenizeQuestions(folder, max_length=2)
    with pytest.raises(ValueError, match="question_tasks: got 'verb'"):
        TokenizeQuestions(folder, question_tasks="verb")
    with pytest.raises(ValueError, match="hf download no/such-tokenizer"):
        TokenizeQuestions("no/such-tokenizer")
    with pytest.raises(ValueError, match="tokenizer: .*cannot be read"):
        TokenizeQuestions(str(tmp_path))
