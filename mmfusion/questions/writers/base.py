"""Interface of a writer of questions: templates, a server, a local model.

Stage 1 turns a narration into a description, stage 2 turns verb, noun and description
into one question per head. A writer answers with plain text; what the text must be is
said once, in ``parsing.py``.
"""

from dataclasses import dataclass
from typing import Protocol

from mmfusion.questions.clips import Clip
from mmfusion.utils.errors import MMFusionError


@dataclass(frozen=True)
class Answer:
    """Answer of a writer, and its cost.

    Attributes:
        text: as it came.
        tokens_in: tokens read, 0 where nobody counts.
        tokens_out: tokens written.
        fault: why the writer itself calls it unusable (a refusal, cut short), or None.
    """

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    fault: str | None = None


class NoAnswerError(MMFusionError, RuntimeError):
    """A request that brought no answer, after all its repetitions; another may."""


class WriterDownError(MMFusionError, RuntimeError):
    """No request can succeed: a wrong key, no such model, no such address."""

    exit_code = 1


class Writer(Protocol):
    """Writes descriptions and questions.

    Attributes:
        model: name for the records.
        identity: all that its answers depend on besides the clip; a part of the key
            under which they are kept.
        prompt_sha256: hash of its prompts, or None without prompts.
        per_clip: whether two clips of one narration, verb and noun get different
            questions; else they are asked for once.
        keeps_answers: whether answers are worth keeping on disk.
    """

    model: str
    identity: str
    prompt_sha256: str | None
    per_clip: bool
    keeps_answers: bool

    def describe(self, clip: Clip, problem: str | None, attempt: int) -> Answer:
        """Stage 1: a description of the action, one or two sentences.

        Args:
            clip: the action.
            problem: why the last answer was refused, None at first.
            attempt: 0 at first.

        Raises:
            NoAnswerError: nothing came.
            WriterDownError: nothing will come.
        """
        ...

    def ask(
        self, clip: Clip, description: str, problem: str | None, attempt: int
    ) -> Answer:
        """Stage 2: a JSON object with the two questions and their answers."""
        ...

    def estimate_tokens(self, clip: Clip) -> tuple[int, int]:
        """About how many tokens both stages read and write for a clip."""
        ...

    def stop(self) -> None:
        """Wait for nothing any more: what is under way may end with NoAnswerError."""
        ...
