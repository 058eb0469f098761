"""Faults of questions, counted: leaks, words left, lengths, doubles."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mmfusion.questions.masking import Masker, Match
from mmfusion.questions.records import MASK, QuestionRecord
from mmfusion.questions.vocabulary import TASKS

_NUM_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """A class word in a question that must not hold it."""

    narration_id: str
    task: str
    kind: str
    found: str
    question: str


@dataclass
class Lengths:
    """Sizes of the questions of one task."""

    sizes: list[int] = field(default_factory=list)

    def over(self, limit: int) -> int:
        """Number of those longer than ``limit``: their end would not be read."""
        return sum(size > limit for size in self.sizes)

    def summary(self) -> tuple[int, int, int]:
        """Shortest, median, longest."""
        ordered = sorted(self.sizes)
        return ordered[0], ordered[len(ordered) // 2], ordered[-1]


@dataclass
class Report:
    """Findings of :func:`examine`.

    Attributes:
        num_records: how many.
        sources: records by source.
        models: records by model.
        leaks: by ``(task, kind)``, questions' own answers in them.
        unmasked: by ``(task of the question, kind)``, the other head's words in them.
        examples: the first findings of each sort.
        without_answer: questions whose answer is null, so nothing can be searched for.
        num_different: by task, different texts.
        commonest: by task, the commonest text and its count.
        with_mask: by task, questions that have a mask.
        lengths: by task.
    """

    num_records: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    leaks: Counter[tuple[str, str]] = field(default_factory=Counter)
    unmasked: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[str, list[Finding]] = field(default_factory=dict)
    without_answer: int = 0
    num_different: dict[str, int] = field(default_factory=dict)
    commonest: dict[str, tuple[str, int]] = field(default_factory=dict)
    with_mask: Counter[str] = field(default_factory=Counter)
    lengths: dict[str, Lengths] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """No leak and no word left unmasked."""
        return not self.leaks and not self.unmasked


def count_words(text: str) -> int:
    """Length where there is no tokenizer."""
    return len(text.split())


def examine(
    records: Iterable[QuestionRecord],
    masker: Masker,
    *,
    length: Callable[[str], int] = count_words,
) -> Report:
    """Look at every question.

    Args:
        records: what to look at.
        masker: knows the forms of every answer.
        length: tokens of a text.
    """
    report = Report(lengths={task: Lengths() for task in TASKS})
    texts: dict[str, Counter[str]] = {task: Counter() for task in TASKS}
    for record in records:
        report.num_records += 1
        report.sources[record.source] += 1
        report.models[record.model] += 1
        _count(report, "leak", report.leaks, record, masker.own_answers(record))
        _count(report, "unmasked", report.unmasked, record, masker.unmasked(record))
        for task in TASKS:
            report.without_answer += record.answer(task) is None
            texts[task][record.question(task)] += 1
    for task, counts in texts.items():
        report.num_different[task] = len(counts)
        report.commonest[task] = counts.most_common(1)[0] if counts else ("", 0)
        for text, count in counts.items():
            report.with_mask[task] += count * (MASK in text)
            report.lengths[task].sizes += [length(text)] * count
    return report


def _count(
    report: Report,
    sort: str,
    counts: Counter[tuple[str, str]],
    record: QuestionRecord,
    found: dict[str, list[Match]],
) -> None:
    for task, matches in found.items():
        question = record.question(task)
        for match in matches:
            counts[task, match.kind] += 1
            examples = report.examples.setdefault(sort, [])
            if len(examples) < _NUM_EXAMPLES:
                text = question[match.start : match.end]
                examples.append(
                    Finding(record.narration_id, task, match.kind, text, question)
                )
