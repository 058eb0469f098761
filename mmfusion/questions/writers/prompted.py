"""The two stages put to a language model: prompts from files, any model behind them."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, Protocol

from mmfusion.questions.clips import Clip
from mmfusion.questions.parsing import QUESTION_SCHEMA
from mmfusion.questions.writers.base import Answer
from mmfusion.utils.errors import InputError
from mmfusion.utils.text_files import read_text

PROMPT_FOLDER = Path(__file__).resolve().parent.parent / "prompts"
_FIELDS = {
    "description.txt": {"narration", "verb", "noun"},
    "questions.txt": {"description", "verb", "noun"},
    "repair.txt": {"problem"},
}
_MAX_BYTES = 1 << 20  # of a prompt
_CHARS_PER_TOKEN = 4  # English, roughly, for every tokenizer in use
_DESCRIPTION_TOKENS, _QUESTIONS_TOKENS = 45, 90
_NO_NOUN = "object"

Message = Mapping[str, str]


@dataclass(frozen=True)
class Prompts:
    """The texts sent to a model, and the hash over all of them.

    Attributes:
        texts: by file name; ``$narration`` and the like are filled in.
        sha256: over names, texts and the schema of the answer: another prompt, another
            hash.
    """

    texts: Mapping[str, str]
    sha256: str

    @classmethod
    def read(cls, folder: str | os.PathLike | None = None) -> "Prompts":
        """Read the three files of a folder, ours if None.

        Raises:
            ValueError: a file is missing, or asks for a field that there is not.
        """
        found = {}
        for name, fields in _FIELDS.items():
            path = Path(folder or PROMPT_FOLDER) / name
            try:
                text = read_text(path, max_bytes=_MAX_BYTES, error_type=InputError)
            except InputError as error:
                raise InputError(
                    f"{path}: no such prompt ({error}); expected the files"
                    f" {sorted(_FIELDS)} in UTF-8"
                ) from None
            template = Template(text)
            if not template.is_valid() or not set(template.get_identifiers()) <= fields:
                raise InputError(
                    f"{path}: it has fields that are not filled; expected "
                    f"{sorted('$' + field for field in fields)}, and $$ for a dollar"
                )
            found[name] = text
        whole = json.dumps([found, QUESTION_SCHEMA], sort_keys=True)
        return cls(found, hashlib.sha256(whole.encode()).hexdigest())

    def fill(self, name: str, **fields: str) -> str:
        """The text of a file with its fields."""
        return Template(self.texts[name]).substitute(fields)


class ChatModel(Protocol):
    """A language model that answers messages.

    Attributes:
        kind: ``"openai"`` or ``"huggingface"``.
        model: name of the model.
        settings: what else its answers depend on.
    """

    kind: str
    model: str
    settings: str

    def complete(
        self, messages: list[Message], schema: dict[str, Any] | None, attempt: int
    ) -> Answer:
        """Answer ``[{"role": "user", "content": ...}]``, as JSON of a schema if given.

        Raises:
            NoAnswerError: nothing came.
            WriterDownError: nothing will come.
        """
        ...

    def stop(self) -> None:
        """Wait for nothing any more."""
        ...


class PromptedWriter:
    """Asks a language model.

    Args:
        backend: the model.
        prompts: the texts.
    """

    per_clip = False
    keeps_answers = True
    prompt_sha256: str | None

    def __init__(self, backend: ChatModel, prompts: Prompts) -> None:
        self.backend = backend
        self.prompts = prompts
        self.model = f"{backend.kind}:{backend.model}"
        self.prompt_sha256 = prompts.sha256
        self.identity = f"{self.model} {backend.settings} prompts={prompts.sha256}"

    def describe(self, clip: Clip, problem: str | None, attempt: int) -> Answer:
        """Stage 1."""
        text = self._fill("description", clip, clip.narration)
        return self._complete(text, problem, None, attempt)

    def ask(
        self, clip: Clip, description: str, problem: str | None, attempt: int
    ) -> Answer:
        """Stage 2."""
        text = self._fill("questions", clip, description)
        return self._complete(text, problem, QUESTION_SCHEMA, attempt)

    def estimate_tokens(self, clip: Clip) -> tuple[int, int]:
        """By the length of the prompts; answers as long as they usually are."""
        sent = self._fill("description", clip, clip.narration)
        sent += self._fill("questions", clip, "") + json.dumps(QUESTION_SCHEMA)
        read = len(sent) // _CHARS_PER_TOKEN + _DESCRIPTION_TOKENS
        return read, _DESCRIPTION_TOKENS + _QUESTIONS_TOKENS

    def stop(self) -> None:
        """Wait for nothing any more."""
        self.backend.stop()

    def _fill(self, stage: str, clip: Clip, told: str) -> str:
        """The prompt of a stage; ``told`` is the narration, then the description."""
        field = "narration" if stage == "description" else "description"
        words = {"verb": clip.verb, "noun": clip.noun or _NO_NOUN, field: told}
        return self.prompts.fill(f"{stage}.txt", **words)

    def _complete(
        self,
        text: str,
        problem: str | None,
        schema: dict[str, Any] | None,
        attempt: int,
    ) -> Answer:
        if problem is not None:
            # one message: some models' templates refuse two of one role in a row
            text += "\n" + self.prompts.fill("repair.txt", problem=problem)
        message = {"role": "user", "content": text}
        return self.backend.complete([message], schema, attempt)
