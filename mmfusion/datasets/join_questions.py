"""Questions from JSON Lines files, joined to the records of an annotation by id."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmfusion.questions.generic import GENERIC, generic_record
from mmfusion.questions.records import QuestionRecord, load_questions
from mmfusion.utils.errors import AnnotationError, InputError

_TEXTS = ("verb_question", "verb_answer", "noun_question", "noun_answer")


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
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            accuracy = content["accuracy"]
            keys = ("num_labelled", "verb", "noun", "action")
            found.append(
                {
                    "recogniser": str(content["recogniser"]),
                    "accuracy": {key: accuracy[key] for key in keys},
                }
            )
        except (ValueError, KeyError, TypeError) as error:
            raise AnnotationError(
                f"{path}: not what tools/questions/from_predictions.py writes"
                f" ({error!r}); write the questions again"
            ) from error
    return found
