"""Questions for a prediction: a bank of training questions, asked by class names.

At test time nobody knows the label, so the words must not come from it. A recogniser
says verb and noun of what it has seen, and the bank gives a question that was written
for this pair in training. Nothing here ever gets the label of the clip asked about.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from mmfusion.questions.generic import GENERIC_NOUN_QUESTION, GENERIC_VERB_QUESTION
from mmfusion.questions.masking import Masker
from mmfusion.questions.records import QuestionRecord
from mmfusion.questions.vocabulary import OTHER, TASKS
from mmfusion.utils.errors import InputError

# where the two questions come from, from best to last
LEVELS = ("pair", "verb and noun apart", "verb only", "noun only", "generic")
_GENERIC = {"verb": GENERIC_VERB_QUESTION, "noun": GENERIC_NOUN_QUESTION}


class QuestionBank:
    """Training questions by (verb, noun).

    Args:
        records: questions of training clips; those that are no text of a clip
            ("generic") are of no use.
        labels: names of verb and noun by narration id, in plain English, from the
            training annotation.
        masker: knows the forms of every class name.

    Raises:
        ValueError: a question's clip is not in ``labels``, or nothing is left.
    """

    def __init__(
        self,
        records: Iterable[QuestionRecord],
        labels: Mapping[str, tuple[str, str]],
        masker: Masker,
    ) -> None:
        self.masker = masker
        self.ids: set[str] = set()
        self.models: Counter[str] = Counter()
        self._pairs: dict[tuple[str, str], list[QuestionRecord]] = {}
        self._alone: dict[str, dict[str, list[QuestionRecord]]] = {t: {} for t in TASKS}
        for record in records:
            if record.narration_id not in labels:
                raise InputError(
                    f"the bank's question for {record.narration_id!r} is of no clip "
                    "of the training annotation: give the questions of the training "
                    "split"
                )
            if record.source == "generic":
                continue
            self.ids.add(record.narration_id)
            self.models[record.model] += 1
            pair = labels[record.narration_id]
            self._pairs.setdefault(pair, []).append(record)
            for task, name in zip(TASKS, pair, strict=True):
                self._alone[task].setdefault(name, []).append(record)
        if not self.ids:
            raise InputError("the bank is empty: no training question but generic ones")

    def ask(
        self,
        narration_id: str,
        verb: str,
        noun: str,
        *,
        model: str,
        prompt_sha256: str | None,
        leave_out: bool = False,
    ) -> tuple[QuestionRecord, str]:
        """Questions for what a recogniser says about a clip.

        Args:
            narration_id: the clip; it decides which of several questions is taken.
            verb: name of the predicted verb class.
            noun: name of the predicted noun class.
            model: for the record.
            prompt_sha256: for the record.
            leave_out: never take this clip's own question (for training clips).

        Returns:
            The record, whose answers are the predicted names, and the one of
            ``LEVELS`` on which the questions were found.
        """
        out = narration_id if leave_out else None
        names = {"verb": verb, "noun": noun}
        pair = self._pairs.get((verb, noun), ())
        chosen = {t: self._pick(t, pair, names, narration_id, out) for t in TASKS}
        level = "pair"
        if None in chosen.values():
            for task in TASKS:
                if chosen[task] is None:
                    others = self._alone[task].get(names[task], ())
                    chosen[task] = self._pick(task, others, names, narration_id, out)
            level = _level(chosen)
        record = QuestionRecord(
            narration_id=narration_id,
            source="predicted",
            verb_question=chosen["verb"] or _GENERIC["verb"],
            verb_answer=verb,
            noun_question=chosen["noun"] or _GENERIC["noun"],
            noun_answer=noun,
            model=model,
            prompt_sha256=prompt_sha256,
        )
        return record, level

    def _pick(
        self,
        task: str,
        records: Sequence[QuestionRecord],
        names: Mapping[str, str],
        narration_id: str,
        leave_out: str | None,
    ) -> str | None:
        """One question, masked for the predicted pair; None if none can be used."""
        other = OTHER[task]
        own = self.masker.matcher(task, names[task])
        start = _number(narration_id) % max(len(records), 1)
        for record in (*records[start:], *records[:start]):
            if record.narration_id == leave_out:
                continue
            mask = self.masker.matcher(other, names[other]).mask
            masked = mask(record.question(task))
            if not own.find(masked):
                return masked
        return None


def _level(chosen: Mapping[str, str | None]) -> str:
    found = [task for task in TASKS if chosen[task] is not None]
    if len(found) == 2:
        return "verb and noun apart"
    return f"{found[0]} only" if found else "generic"


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
