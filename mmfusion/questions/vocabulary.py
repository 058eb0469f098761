"""The classes of a dataset's verbs and nouns, and which words stand for each.

EPIC-KITCHENS-100 gives each class a key and its instances: a noun of several words has
its head first (``board:chopping``), a verb its particle last (``put-down``). Datasets
that do not say so get a class per name.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from mmfusion.layouts.epic_kitchens import WordClass
from mmfusion.questions.forms import normalise
from mmfusion.utils.errors import InputError

TASKS = ("verb", "noun")
OTHER = {"verb": "noun", "noun": "verb"}  # the head whose word a question masks


def words_of(name: str) -> tuple[str, ...]:
    """The normalised words of a name, in the order of the file.

    >>> words_of("board:chopping"), words_of("put-down"), words_of("take out")
    (('board', 'chopping'), ('put', 'down'), ('take', 'out'))
    """
    return tuple(re.findall(r"[^\W_]+(?:'[^\W_]+)*", normalise(name)))


class Vocabulary:
    """Verb and noun classes of one dataset.

    Args:
        verbs: verb classes, in the order of their ids.
        nouns: noun classes, in the order of their ids.
    """

    def __init__(self, verbs: Iterable[WordClass], nouns: Iterable[WordClass]) -> None:
        self.classes = {"verb": tuple(verbs), "noun": tuple(nouns)}

    @classmethod
    def of_annotation(cls, metainfo: Mapping[str, Any]) -> "Vocabulary | None":
        """The classes of an annotation whose ``extra.words`` has them, else None.

        Raises:
            InputError: they are not what ``tools/data/ek100/prepare.py`` writes.
        """
        words = (metainfo.get("extra") or {}).get("words")
        if words is None:
            return None
        try:
            made = [
                [
                    WordClass(one["key"], tuple(one["instances"]), one["category"])
                    for one in words[task]
                ]
                for task in TASKS
            ]
        except (KeyError, TypeError) as error:
            raise InputError(
                f"metainfo.extra.words lacks {error}; expected key, instances and"
                " category of each verb and noun: write the annotation again"
            ) from error
        return cls(*made)

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
