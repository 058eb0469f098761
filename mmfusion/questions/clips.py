"""The clips that questions are written from: id, narration, verb and noun of each."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmfusion.layouts.epic_kitchens import natural
from mmfusion.questions.english import SMALL_WORDS
from mmfusion.questions.forms import base_of_ing
from mmfusion.questions.vocabulary import words_of
from mmfusion.utils.errors import InputError

# "Pretending to be tearing something": the action is to tear
_MODAL = re.compile(
    r"(?:pretending|trying|failing)(?: (?:or|but|and) \w+ing)*(?: to)?(?: be)? (\w+)"
)
_FALLING = re.compile(r"something (?:and something )?(?:being )?(\w+)")


@dataclass(frozen=True)
class Clip:
    """One annotated action.

    Attributes:
        narration_id: its key.
        narration: what annotators said, one line.
        verb: name of the verb in plain English, as ``"put down"``.
        noun: name of the noun in plain English, or None where the data names none.
        verb_class: id in the vocabulary, or None where there is no class file.
        noun_class: likewise.
    """

    narration_id: str
    narration: str
    verb: str
    noun: str | None
    verb_class: int | None = None
    noun_class: int | None = None


def records_of_split(
    records: Sequence[Mapping[str, Any]], split: str | None, source: str
) -> list[Mapping[str, Any]]:
    """The records of one split of an annotation.

    Args:
        records: of every split.
        split: its name; None where there is one split only.
        source: name of the file, for errors.

    Raises:
        InputError: there is no such split, or none is named among several.
    """
    sizes = Counter(record["split"] for record in records)
    if split is None and len(sizes) < 2:
        return list(records)
    kept = [record for record in records if record["split"] == split]
    if not kept:
        raise InputError(
            f"{source}: the split is {split!r}; expected one of {dict(sizes)} (with"
            " their sizes): a file of questions belongs to one split"
        )
    return kept


def clips_of(
    metainfo: Mapping[str, Any], records: Sequence[Mapping[str, Any]], source: str
) -> list[Clip]:
    """The clips of labelled records, in their order.

    Verb and noun are the annotator's own words where the record's text has them, else
    those of the label; where there is only an action (OakInk2's ``press_button``), its
    first word is the verb and the rest, if it names a thing, the noun.

    Args:
        metainfo: of the annotation.
        records: of one split.
        source: name of the file, for errors.

    Raises:
        InputError: there is no record, or one whose label is hidden.
    """
    if not records:
        raise InputError(f"{source}: there is no clip in it")
    classes, has_words = metainfo["classes"], "words" in (metainfo["extra"] or {})
    found = []
    for record in records:
        label = record["label"]
        names = {task: classes[task][number] for task, number in label.items()}
        text = record["text"] or {}
        if metainfo["dataset"] == "ssv2" and "action" in names:
            verb, noun = ssv2_verb(names["action"]), None
        else:
            verb, noun = _verb_and_noun(names, f"{source}: record {record['id']!r}")
        verb, noun = text.get("verb") or verb, text.get("noun") or noun
        verb, noun = natural(verb), _thing(noun)
        narration = text.get("narration") or f"{verb} {noun or ''}"
        words = " ".join(narration.split())
        numbers = (label["verb"], label["noun"]) if has_words else ()
        found.append(Clip(record["id"], words, verb, noun, *numbers))
    return found


def _thing(noun: str | None) -> str | None:
    return natural(noun) if noun and words_of(noun) else None


def _verb_and_noun(label: dict[str, str], where: str) -> tuple[str, str | None]:
    if "verb" in label and "noun" in label:
        return natural(label["verb"]), natural(label["noun"])
    if "action" not in label:
        raise InputError(
            f"{where} has the labels {sorted(label)}; expected verb and noun, or action"
            " (hidden labels: only the generic questions need none)"
        )
    first, *rest = words_of(natural(label["action"]))
    particles = []
    while rest and rest[0] in SMALL_WORDS:
        particles.append(rest.pop(0))
    things = [word for word in rest if word not in SMALL_WORDS]
    return " ".join([first, *particles]), " ".join(things) or None


def ssv2_verb(template: str) -> str:
    """The verb of a template.

    >>> ssv2_verb("Pretending to be tearing something that is not tearable")
    'tear'
    """
    text = template.lower().replace("[", "").replace("]", "")
    match = _MODAL.match(text) or _FALLING.match(text) or re.match(r"(\w+)", text)
    if match is None:
        raise InputError(f"the template {template!r} has no word")
    return base_of_ing(match.group(1))
