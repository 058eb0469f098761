"""Questions from JSON Lines files, joined to the records of an annotation by id."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, model_validator

from mmfusion.questions.generic import GENERIC, generic_record
from mmfusion.questions.records import QuestionRecord, load_questions
from mmfusion.utils.errors import AnnotationError, InputError
from mmfusion.utils.schema import STRICT, Name, Schema
from mmfusion.utils.text_files import read_json

_TEXTS = ("verb_question", "verb_answer", "noun_question", "noun_answer")
_Percent = Annotated[float, Field(ge=0, le=100)]


class _Accuracy(BaseModel):
    """Top-1 of a recogniser, percent; null where no clip had a label."""

    model_config = STRICT
    num_labelled: int = Field(ge=0)
    verb: _Percent | None
    noun: _Percent | None
    action: _Percent | None

    @model_validator(mode="after")
    def _check_known(self) -> "_Accuracy":
        if self.num_labelled and None in (self.verb, self.noun, self.action):
            raise InputError("clips are labelled, and an accuracy is null")
        return self


class _Recogniser(BaseModel):
    """Parts of FILE.meta.json that a result tells."""

    model_config = STRICT
    recogniser: Name
    accuracy: _Accuracy = Field(
        description="an object of num_labelled, verb, noun and action, percent"
    )


_RECOGNISER = Schema(_Recogniser)


def files_of(questions: str | Sequence[str] | None, join: bool) -> list[str]:
    """The files of questions that a dataset is given.

    Raises:
        InputError: several, and nobody asked to ``join`` them.
    """
    files = [questions] if isinstance(questions, str) else list(questions or ())
    if len(files) > 1 and not join:
        raise InputError(
            f"questions names {len(files)} files: {files}; expected one, so that a"
            " result has one source of questions; set join_questions=True to use"
            " them together"
        )
    return files


def add_questions(
    metainfo: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    files: Sequence[str],
    root: str,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Metainfo and records with questions; each record has its own in one of the files.

    The metainfo gets ``question_source``, and under ``extra`` ``recognisers``: names
    and accuracies of the models that chose the questions. A record gets the questions
    in ``text`` and ``question_source`` in ``extra``.

    Args:
        metainfo: of the annotation.
        records: of one split.
        files: relative to root, or ``"generic"`` for the two fixed questions.
        root: the data root.

    Raises:
        AnnotationError: a record has no question, or two.
    """
    asked: dict[str, QuestionRecord] = {}
    known = [record["id"] for record in records]
    for file in files:
        if file == GENERIC:
            found = {name: generic_record(name) for name in known}
        else:
            found = load_questions(Path(root, file), known=known)
        twice = [name for name in found if name in asked]
        if twice:
            raise AnnotationError(
                f"{Path(root, file)}: two questions for the id {twice[0]!r}"
                f" ({len(twice)} such ids), as an earlier file of {list(files)} has"
                " one, too; expected one for each clip"
            )
        asked |= found
    lacking = [name for name in known if name not in asked]
    if lacking:
        raise AnnotationError(
            f"{lacking[0]!r} has no question in {list(files)} of {root}, nor have"
            f" {len(lacking) - 1} more; write them with tools/questions/generate.py"
        )
    sources = sorted({question.source for question in asked.values()})
    recognisers = read_recognisers([Path(root, file) for file in files])
    extra = {**(metainfo["extra"] or {}), "recognisers": recognisers}
    head = {**metainfo, "question_source": "+".join(sources), "extra": extra}
    return head, [_with_question(record, asked[record["id"]]) for record in records]


def _with_question(record: Mapping[str, Any], question: QuestionRecord) -> dict:
    text = {key: getattr(question, key) for key in _TEXTS}
    return {
        **record,
        "text": {**(record["text"] or {}), **text},
        "extra": {**(record["extra"] or {}), "question_source": question.source},
    }


def read_recognisers(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Models that chose the questions of files, as ``FILE.meta.json`` beside them says.

    Returns:
        ``recogniser``, its name, and ``accuracy``, percent top-1 by task with
        ``num_labelled``, for each file that has such a neighbour.

    Raises:
        AnnotationError: a neighbour is not what from_predictions.py writes.
    """
    found = []
    for file in files:
        path = file.with_name(f"{file.name}.meta.json")
        if not path.is_file():
            continue
        content = read_json(path)
        if isinstance(content, dict):  # the others are for people
            own = _Recogniser.model_fields
            content = {key: content[key] for key in content if key in own}
        try:
            found.append(_RECOGNISER.check(content).model_dump())
        except ValueError as error:
            raise AnnotationError(
                f"{path}: not what tools/questions/from_predictions.py writes"
                f" ({error}); write the questions again"
            ) from None
    return found
