"""Templates: the same for the same ids, many, and silent about the answer."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mmfusion.questions import QuestionRecord
from mmfusion.questions.cache import AnswerCache
from mmfusion.questions.clips import Clip
from mmfusion.questions.generation import Generation
from mmfusion.questions.masking import Masker
from mmfusion.questions.writers import TemplateWriter
from mmfusion.questions.writers.template import _AIMS, _KINDS
from tests.questions.ek100_classes import read_ek100, vocabulary_of, write_ek100

pytest.importorskip("simplemma")


@pytest.fixture
def masker(tmp_path: Path) -> Masker:
    write_ek100(tmp_path)
    return Masker(vocabulary_of(tmp_path))


def _clips(masker: Masker, count: int) -> list[Clip]:
    """Clips of all classes in turn."""
    verbs, nouns = (masker.vocabulary.classes[task] for task in ("verb", "noun"))
    return [
        Clip(
            f"P01_01_{i}",
            "do it",
            verbs[i % len(verbs)].key,
            nouns[i % len(nouns)].key,
            i % len(verbs),
            i % len(nouns),
        )
        for i in range(count)
    ]


def _write(masker: Masker, clips: list[Clip], **options: str) -> list[QuestionRecord]:
    writer = TemplateWriter(masker, **options)  # type: ignore[arg-type]
    with AnswerCache(":memory:") as cache:
        outcome = Generation(writer, masker, cache).run(clips)
    assert outcome.rejects == []
    return outcome.records


@pytest.mark.parametrize("hint", ["category", "none"])
def test_questions_are_many_and_tell_no_answer(masker: Masker, hint: str) -> None:
    records = _write(masker, _clips(masker, 300), hint=hint)
    for task in ("verb", "noun"):
        texts = Counter(getattr(record, f"{task}_question") for record in records)
        assert len(texts) > 200
        assert max(map(len, texts)) < 140
    assert not any(m for r in records for m in masker.own_answers(r).values())
    assert not any(m for r in records for m in masker.unmasked(r).values())
    assert records == _write(masker, _clips(masker, 300), hint=hint)


def test_without_a_hint_the_words_do_not_depend_on_the_label(masker: Masker) -> None:
    clips = _clips(masker, 60)
    turned = [
        replace(other, narration_id=clip.narration_id)
        for clip, other in zip(clips, clips[1:] + clips[:1], strict=True)
    ]
    first, second = (_write(masker, c, hint="none") for c in (clips, turned))
    for one, two in zip(first, second, strict=True):
        assert one.verb_answer != two.verb_answer
        assert one.verb_question == two.verb_question
        assert one.noun_question == two.noun_question


def test_the_real_csv_has_words_for_each_category(shared_data: Path) -> None:
    folder = shared_data / "ek100"
    vocabulary = vocabulary_of(folder)
    assert {c.category for c in vocabulary.classes["verb"]} == set(_AIMS)
    assert {c.category for c in vocabulary.classes["noun"]} == set(_KINDS)
    for clip in _clips(Masker(vocabulary), 300):  # every class of nouns
        record = _write(Masker(vocabulary), [clip])[0]
        assert record.noun_question.count("<mask>") == 1


def test_an_unknown_hint_is_named(masker: Masker) -> None:
    with pytest.raises(ValueError, match="hint is 'all'; expected one of"):
        TemplateWriter(masker, hint="all")


def test_a_clip_without_a_noun_gets_the_generic_question() -> None:
    record = _write(Masker(), [Clip("a", "pour it", "pour", None)])[0]
    assert record.noun_answer is None
    assert record.noun_question == "Which object is the person interacting with?"


def test_every_split_of_ek100_can_be_written(masker: Masker, tmp_path: Path) -> None:
    clips = read_ek100(tmp_path / "mmfusion/annotation.json")
    assert len(_write(masker, clips)) == 8
