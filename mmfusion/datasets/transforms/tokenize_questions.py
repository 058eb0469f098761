"""Questions become token numbers."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from mmfusion.questions.records import MASK
from mmfusion.registry import TRANSFORMS
from mmfusion.utils import hugging_face
from mmfusion.utils.errors import InputError


@TRANSFORMS.register_module()
class TokenizeQuestions(BaseTransform):
    """Make tokens of a sample's questions, one row per question.

    ``<mask>``, the word that a question hides, becomes the tokenizer's own mask token.
    A question of more than ``max_length`` tokens is cut, its last token kept; how many
    were is in ``num_truncated``, and the first is told in the log.

    Args:
        tokenizer: a folder that ``save_pretrained`` wrote, or a name in the local cache
            of the Hugging Face hub.
        max_length: tokens a question (l), the special ones included; shorter ones are
            padded.
        question_tasks: the questions and their order; ``verb`` is the record's text
            ``verb_question``.

    Required keys: text. Added keys: tokens (1, q, l) int64 and tokens_mask (1, q, l)
    bool, False where padded, which PackInputs packs as the stream ``text``;
    question_tasks; question_source.
    """

    def __init__(
        self,
        tokenizer: str,
        max_length: int = 40,
        question_tasks: Sequence[str] = ("verb", "noun"),
    ) -> None:
        if max_length < 3:
            raise InputError(f"max_length: got {max_length}; expected 3 or more")
        if isinstance(question_tasks, str) or not question_tasks:
            raise InputError(
                f"question_tasks: got {question_tasks!r}; expected a list of tasks"
            )
        load_tokenizer(tokenizer)  # a wrong name shows here, not in a worker
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.question_tasks = tuple(question_tasks)
        self.num_truncated = 0

    def transform(self, results: dict) -> dict:
        texts = [self._question(results, task) for task in self.question_tasks]
        rows = [_encode(self.tokenizer, text, self.max_length) for text in texts]
        for text, (_, length) in zip(texts, rows, strict=True):
            if length > self.max_length:
                self._count(results, text, length)
        pad = load_tokenizer(self.tokenizer).pad_token_id
        tokens = np.full((1, len(rows), self.max_length), pad, np.int64)
        mask = np.zeros(tokens.shape, bool)
        for row, (numbers, _) in enumerate(rows):
            tokens[0, row, : len(numbers)] = numbers
            mask[0, row, : len(numbers)] = True
        results["tokens"], results["tokens_mask"] = tokens, mask  # (1, q, l)
        results["question_tasks"] = self.question_tasks
        known = results.get("ann_meta") or {}
        source = (results.get("extra") or {}).get("question_source")
        results["question_source"] = source or known.get("question_source")
        return results

    def _question(self, results: dict, task: str) -> str:
        question = (results.get("text") or {}).get(f"{task}_question")
        if not question:
            raise InputError(
                f"sample {results.get('sample_id')!r} has no {task}_question; expected"
                " one in the text of its record: give the dataset its file of questions"
                " (questions='generic' asks the same of every clip)"
            )
        return question

    def _count(self, results: dict, text: str, length: int) -> None:
        self.num_truncated += 1
        if self.num_truncated == 1:
            print_log(
                f"TokenizeQuestions: a question of {results.get('sample_id')!r} has"
                f" {length} tokens and is cut to max_length={self.max_length}:"
                f" {text!r}; further ones are counted, not reported",
                logger="current",
                level=30,
            )


@lru_cache(maxsize=8)
def load_tokenizer(source: str) -> Any:
    """The tokenizer of a folder or of the hub's local cache, once a process.

    Raises:
        ValueError: it is not here, or cannot pad or mask.
    """
    try:
        tokenizer = hugging_face.load_tokenizer(source)
    except OSError as error:  # a dataset would take it for a broken clip
        raise InputError(f"tokenizer: {error}") from error
    for token in ("pad_token", "mask_token"):
        if getattr(tokenizer, token) is None:
            raise InputError(
                f"tokenizer: {source!r} has no {token}; expected that of a masked"
                " language model such as RoBERTa or BERT"
            )
    return tokenizer


@lru_cache(maxsize=8192)
def _encode(tokenizer: str, text: str, max_length: int) -> tuple[tuple[int, ...], int]:
    """Numbers of at most ``max_length`` tokens, and how many there were before."""
    loaded = load_tokenizer(tokenizer)
    numbers = loaded(text.replace(MASK, loaded.mask_token), verbose=False)["input_ids"]
    if len(numbers) <= max_length:
        return tuple(numbers), len(numbers)
    return (*numbers[: max_length - 1], numbers[-1]), len(numbers)
