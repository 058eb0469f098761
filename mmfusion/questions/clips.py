"""What questions are written from: id, narration, verb and noun of each clip.

One reader per kind of annotation; all give :class:`Clip` in the order of the file, and
every id once.
"""

import csv
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmfusion.questions.english import SMALL_WORDS
from mmfusion.questions.forms import base_of_ing
from mmfusion.questions.vocabulary import (
    TASKS,
    Vocabulary,
    naming_file,
    natural,
    words_of,
)
from mmfusion.utils.errors import InputError

EK100_COLUMNS = (
    "narration_id",
    "narration",
    "verb",
    "verb_class",
    "noun",
    "noun_class",
)
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


def read_ek100(path: str | os.PathLike, vocabulary: Vocabulary) -> list[Clip]:
    """Read ``EPIC_100_train.csv`` or ``EPIC_100_validation.csv``, or TinyEgo's.

    Raises:
        ValueError: a column is missing (the test csv has no labels), a label is not in
            ``vocabulary``, or an id comes twice; the message names file and line.
    """
    with naming_file(path), open(path, encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [n for n in EK100_COLUMNS if n not in (reader.fieldnames or ())]
        if missing:
            raise InputError(
                f"{path}: the columns {missing} are missing; expected those of "
                "EPIC_100_train.csv. The test csv has no labels: use --source generic"
            )
        found = [
            _ek100_clip(row, vocabulary, f"{path}:{reader.line_num}") for row in reader
        ]
    _check_fit(found, vocabulary, path)
    return _each_once(found, path)


def _check_fit(
    clips: Sequence[Clip], vocabulary: Vocabulary, path: str | os.PathLike
) -> None:
    """Refuse the class files of another dataset, or the two swapped.

    A slip of the pen is in the real files; that most names are of another class is not.
    """
    for task in TASKS:
        strange = [
            clip
            for clip in clips
            if getattr(clip, f"{task}_class")
            not in vocabulary.find(task, getattr(clip, task) or "")
        ]
        if len(strange) > len(clips) / 2:
            name = getattr(strange[0], task)
            number = getattr(strange[0], f"{task}_class")
            key = vocabulary.classes[task][number].key
            raise InputError(
                f"{path}: {len(strange)} of {len(clips)} {task}s are no names of their "
                f"class: {name!r} has {task}_class {number}, which is {key!r}. Give "
                "the class files that belong to it by --classes VERBS NOUNS"
            )


def _ek100_clip(row: dict[str, str], vocabulary: Vocabulary, where: str) -> Clip:
    ids = {}
    for task, classes in vocabulary.classes.items():
        text = row[f"{task}_class"] or ""
        if not text.isdecimal() or int(text) >= len(classes):
            raise InputError(
                f"{where}: {task}_class is {text!r}; expected 0..{len(classes) - 1}, "
                f"the ids of the {task} class file"
            )
        if not words_of(row[task] or ""):
            raise InputError(f"{where}: {task} is {row[task]!r}; expected a name")
        ids[task] = int(text)
    if not row["narration_id"]:
        raise InputError(f"{where}: narration_id is empty")
    return Clip(
        row["narration_id"],
        " ".join((row["narration"] or "").split()),
        natural(row["verb"]),
        natural(row["noun"]),
        ids["verb"],
        ids["noun"],
    )


def read_h2o(path: str | os.PathLike) -> list[Clip]:
    """Read H2O's ``action_train.txt`` or ``action_val.txt``.

    Raises:
        ValueError: it is another file, or its labels are hidden, as the test split's.
    """
    # mmfusion.datasets imports torch, which the other readers do not need
    from mmfusion.layouts import h2o

    found = []
    for row in h2o.read_action_file(Path(path)):
        if row.action is None:
            raise InputError(
                f"{path}: its labels are hidden; a question needs them, except "
                "those of --source generic"
            )
        verb, noun = h2o.ACTIONS[row.action]
        name = f"{row.sequence}#{row.row}"
        found.append(Clip(name, f"{verb} {noun}", natural(verb), natural(noun)))
    return _each_once(found, path)


def read_annotation(path: str | os.PathLike) -> list[Clip]:
    """Read the annotation file that ``tools/data/*/prepare.py`` wrote, of any dataset.

    Verb and noun are those of the label; where there is only an action (OakInk2's
    ``press_button``), its first word is the verb and the rest, if it names a thing,
    the noun.
    """
    from mmfusion.datasets.annotation import load_annotation

    metainfo, records = load_annotation(str(path))
    classes = metainfo["classes"]
    found = []
    for record in records:
        label = {
            task: classes[task][number] for task, number in record["label"].items()
        }
        verb, noun = _verb_and_noun(label, f"{path}: record {record['id']!r}")
        spoken = (record["text"] or {}).get("narration")
        narration = spoken or f"{verb} {noun or ''}".strip()
        found.append(Clip(record["id"], " ".join(narration.split()), verb, noun))
    return _each_once(found, path)


def _verb_and_noun(label: dict[str, str], where: str) -> tuple[str, str | None]:
    if "verb" in label and "noun" in label:
        return natural(label["verb"]), natural(label["noun"])
    if "action" not in label:
        raise InputError(
            f"{where} has the labels {sorted(label)}; expected verb and noun, or action"
        )
    first, *rest = words_of(natural(label["action"]))
    particles = []
    while rest and rest[0] in SMALL_WORDS:
        particles.append(rest.pop(0))
    things = [word for word in rest if word not in SMALL_WORDS]
    return " ".join([first, *particles]), " ".join(things) or None


def read_ssv2(path: str | os.PathLike) -> list[Clip]:
    """Read Something-Something V2's json: id, label, template, placeholders.

    The verb is the action of the template, the noun its first placeholder.

    Raises:
        ValueError: it is no such list; the message names the entry.
    """
    with naming_file(path):
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(content, list):
        raise InputError(f"{path}: expected a list of clips, as in the published json")
    return _each_once(
        (_ssv2_clip(entry, f"{path}: entry {n}") for n, entry in enumerate(content)),
        path,
    )


def _ssv2_clip(entry: object, where: str) -> Clip:
    if not isinstance(entry, dict) or not {"id", "template"} <= set(entry):
        raise InputError(
            f"{where} has no id and template; expected id, label, template and "
            "placeholders (the test json has no labels)"
        )
    template = str(entry["template"])
    plain = re.sub(r"[\[\]]", "", template)
    things = entry.get("placeholders") or []
    noun = natural(str(things[0])) if things and words_of(str(things[0])) else None
    narration = str(entry.get("label") or plain)
    return Clip(str(entry["id"]), " ".join(narration.split()), ssv2_verb(plain), noun)


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


def _each_once(clips: Iterable[Clip], path: str | os.PathLike) -> list[Clip]:
    found: dict[str, Clip] = {}
    for clip in clips:
        if clip.narration_id in found:
            raise InputError(f"{path}: the id {clip.narration_id!r} comes twice")
        found[clip.narration_id] = clip
    if not found:
        raise InputError(f"{path}: there is no clip in it")
    return list(found.values())


def read_ids(path: str | os.PathLike) -> Iterator[str]:
    """Narration ids of an EPIC-KITCHENS csv, labels or not (``generic`` needs none)."""
    with naming_file(path), open(path, encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        if "narration_id" not in (reader.fieldnames or ()):
            raise InputError(f"{path}: there is no column narration_id")
        for row in reader:
            yield row["narration_id"]


READERS: dict[str, Callable[[str | os.PathLike], list[Clip]]] = {
    "annotation": read_annotation,
    "h2o": read_h2o,
    "oakink2": read_annotation,
    "ssv2": read_ssv2,
}
