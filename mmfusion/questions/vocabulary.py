"""The classes of a dataset's verbs and nouns, and which words stand for each.

EPIC-KITCHENS-100 gives each class a key and its instances in csv files, as
``18,board:chopping,"['board:chopping', 'board:cutting', ...]",utensils``: a noun of
several words has its head first, a verb its particle last (``put-down``). Datasets
without such a file get a class per name.
"""

import ast
import csv
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from mmfusion.questions.forms import normalise
from mmfusion.utils.errors import InputError

TASKS = ("verb", "noun")
_COLUMNS = ("id", "key", "instances", "category")


@dataclass(frozen=True)
class WordClass:
    """One class of verbs or nouns.

    Attributes:
        key: its name as the dataset writes it.
        instances: all names that annotators used for it, the key among them.
        category: coarser group, or None.
    """

    key: str
    instances: tuple[str, ...]
    category: str | None = None


def words_of(name: str) -> tuple[str, ...]:
    """The normalised words of a name, in the order of the file.

    >>> words_of("board:chopping"), words_of("put-down"), words_of("take out")
    (('board', 'chopping'), ('put', 'down'), ('take', 'out'))
    """
    return tuple(re.findall(r"[^\W_]+(?:'[^\W_]+)*", normalise(name)))


def natural(name: str) -> str:
    """The name as English writes it: ``board:chopping`` is a chopping board.

    >>> natural("machine:sous:vide"), natural("put-down"), natural("water_bottle")
    ('sous vide machine', 'put down', 'water bottle')
    """
    head, *modifiers = name.split(":")
    return re.sub(r"[-_\s]+", " ", " ".join([*modifiers, head])).strip()


class Vocabulary:
    """Verb and noun classes of one dataset.

    Args:
        verbs: verb classes, in the order of their ids.
        nouns: noun classes, in the order of their ids.
    """

    def __init__(self, verbs: Iterable[WordClass], nouns: Iterable[WordClass]) -> None:
        self.classes = {"verb": tuple(verbs), "noun": tuple(nouns)}

    @classmethod
    def read(
        cls, verb_csv: str | os.PathLike, noun_csv: str | os.PathLike
    ) -> "Vocabulary":
        """Read the two class files of EPIC-KITCHENS-100.

        Raises:
            ValueError: a file is of another kind; the message names file and line.
        """
        return cls(read_class_file(verb_csv), read_class_file(noun_csv))

    @classmethod
    def of_names(cls, verbs: Iterable[str], nouns: Iterable[str]) -> "Vocabulary":
        """A class for each different name, in the order in which they come."""
        made = [
            [WordClass(name, (name,)) for name in dict.fromkeys(names)]
            for names in (verbs, nouns)
        ]
        return cls(*made)

    @cached_property
    def _by_name(self) -> Mapping[str, Mapping[tuple[str, ...], tuple[int, ...]]]:
        found: dict[str, dict[tuple[str, ...], tuple[int, ...]]] = {}
        for task, classes in self.classes.items():
            table = found.setdefault(task, {})
            for number, word_class in enumerate(classes):
                for name in dict.fromkeys((word_class.key, *word_class.instances)):
                    words = tuple(sorted(words_of(name)))
                    table[words] = tuple({*table.get(words, ()), number})
        return found

    def find(self, task: str, name: str) -> tuple[int, ...]:
        """Ids of the classes that have ``name``, its words in any order; often one."""
        return self._by_name[task].get(tuple(sorted(words_of(name))), ())


@contextmanager
def naming_file(path: str | os.PathLike) -> Iterator[None]:
    """Make the error of text, csv or JSON that cannot be read name its file."""
    try:
        yield
    except (UnicodeDecodeError, csv.Error, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    except RecursionError as error:
        raise InputError(f"{path} cannot be read: it is nested too deep") from error


def read_class_file(path: str | os.PathLike) -> list[WordClass]:
    """Read ``EPIC_100_verb_classes.csv`` or ``EPIC_100_noun_classes.csv``.

    Raises:
        ValueError: columns, ids or instances are not as in those files.
    """
    with naming_file(path), open(path, encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        present = reader.fieldnames or ()
        missing = [name for name in _COLUMNS[:3] if name not in present]
        if missing:
            raise InputError(
                f"{path}: the columns {missing} are missing, there are "
                f"{list(present)}; expected {list(_COLUMNS)}, as in "
                "EPIC_100_verb_classes.csv"
            )
        return [_class_of(row, number, path) for number, row in enumerate(reader)]


def _class_of(
    row: Mapping[str, str], number: int, path: str | os.PathLike
) -> WordClass:
    where = f"{path}: class {number}"
    if row["id"] != str(number):
        raise InputError(f"{where}: the id is {row['id']!r}; expected {number}")
    try:
        instances = ast.literal_eval(row["instances"])
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        instances = None
    if not isinstance(instances, list) or not all(
        isinstance(name, str) and words_of(name) for name in instances
    ):
        raise InputError(
            f"{where}: instances is {row['instances'][:80]!r}; expected a list of "
            "names, as ['take', 'pick-up']"
        )
    names = tuple(dict.fromkeys((row["key"], *instances)))
    return WordClass(row["key"], names, row.get("category") or None)
