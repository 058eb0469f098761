"""Clips to train, val and test, so that the test says something about new clips.

Splits that are given are kept. Else, where it is known who is in each clip, nobody in
the test split is seen in training; else every class is cut by the same shares. Parts of
one video never lie in two splits. Test clips are never used to choose a checkpoint: val
is taken from what is left for training.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mmfusion.utils.errors import InputError

TRAIN, VAL, TEST = "train", "val", "test"
VAL_FRACTION, TEST_FRACTION = 0.15, 0.2
_TRIES = 256  # draws of whole people or videos, of which the best is taken
_Unit = list[int]  # clips that stay together


class LoneClipError(InputError):
    """A class has one clip, which cannot be trained on and tested."""


@dataclass(frozen=True)
class SplitItem:
    """A clip, as far as splits ask.

    Attributes:
        place: ``file:line`` or its file, for errors.
        label: class name or number; None where it is hidden.
        group: its video: parts of one video stay together.
        subject: who is in it, or None. split: as given, or None.
    """

    place: str
    label: Hashable | None
    group: str
    subject: str | None = None
    split: str | None = None


@dataclass(frozen=True)
class Splits:
    """The split of each clip.

    Attributes:
        names: ``train``, ``val`` or ``test``, in the order of the clips.
        rule: one line: how they were made. notes: further lines for the reader.
    """

    names: list[str]
    rule: str
    notes: list[str] = field(default_factory=list)


def assign_splits(
    items: Sequence[SplitItem],
    *,
    val_fraction: float = VAL_FRACTION,
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
) -> Splits:
    """The split of each clip: as given, else by subject, else class by class.

    Args:
        items: the clips.
        val_fraction: share of the clips not in test that is moved to val where no val
            split is given; 0 makes none. test_fraction: share of all clips.
        seed: of the draws, which depend on nothing else.

    Raises:
        InputError: a split or a subject is there for some clips only, all clips would
            be in one split, parts of a video are given two splits, or a class has one
            clip; names the clips.
    """
    for name, value in (("val", val_fraction), ("test", test_fraction)):
        if not 0 <= value < 1:
            raise InputError(
                f"--{name}-fraction is {value}, expected 0 <= fraction < 1"
            )
    if not items:
        raise InputError("there is no clip; expected one at least")
    generator = np.random.default_rng(seed)
    if _all_or_none(items, "split"):
        return _as_given(items, val_fraction, generator)
    _check_classes(items)
    people = {item.subject for item in items}
    by_subject = _all_or_none(items, "subject") and len(people) > 1
    units = _units(items, by_subject)
    if len(units) < 2:
        raise InputError(
            f"all {len(items)} clips are parts of {items[0].group!r}; expected two"
            " videos at least, so that no video is trained on and tested"
        )
    result = np.full(len(items), TRAIN, dtype=object)
    result[_draw(items, units, test_fraction, generator, by_subject)] = TEST
    notes = []
    if by_subject:
        rule = f"by subject, seed {seed}: nobody in test is seen in training"
    else:
        rule = f"class by class, seed {seed}"
        who = "only one subject" if len(people) == 1 and None not in people else ""
        notes.append(
            f"splits know {who or 'no subject'}: the same person may be in train and"
            " test, and accuracy on new people is lower"
        )
    notes += _hold_out(items, result, val_fraction, generator, by_subject)
    notes += _lacking(items, result)
    return Splits([str(name) for name in result], rule, notes)


def _lacking(items: Sequence[SplitItem], result: np.ndarray) -> list[str]:
    """Notes on classes that are not trained, or not tested."""
    notes = []
    classes = {item.label for item in items if item.label is not None}
    for split, what in ((TRAIN, "to train on"), (TEST, "to test")):
        rows = np.flatnonzero(result == split).tolist()
        lacking = classes - {items[row].label for row in rows}
        missing = sorted(n if isinstance(n, str) else f"class {n}" for n in lacking)
        if missing and rows:
            notes.append(f"no clip {what} of: {', '.join(missing)}")
    return notes


def _all_or_none(items: Sequence[SplitItem], key: str) -> bool:
    """True where each clip has the value, False where none has."""
    lacking = [item.place for item in items if getattr(item, key) is None]
    if lacking and len(lacking) < len(items):
        raise InputError(
            f"{lacking[0]}: no {key}, and {len(items) - len(lacking)} of {len(items)}"
            f" clips have one; expected a {key} for every clip, or for none"
        )
    return not lacking


def _check_classes(items: Sequence[SplitItem]) -> None:
    places = defaultdict(list)
    for item in items:
        places[item.label].append(item.place)
    for label, found in places.items():
        if len(found) < 2 and label is not None:
            raise LoneClipError(
                f"{found[0]}: the class {label!r} has this clip only; expected two at"
                " least, one to train on and one to test: add clips, or leave the"
                " class out"
            )


def _units(items: Sequence[SplitItem], by_subject: bool) -> list[_Unit]:
    """Clips that stay together: of one video, and where so asked of one subject.

    Videos in which several subjects act bind these subjects together.
    """
    parent: dict[Hashable, Hashable] = {}

    def root(key: Hashable) -> Hashable:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for item in items:
        if by_subject:
            parent[root(("group", item.group))] = root(("subject", item.subject))
    units = defaultdict(list)
    for number, item in enumerate(items):
        units[root(("group", item.group))].append(number)
    return [*units.values()]


def _draw(
    items: Sequence[SplitItem],
    units: Sequence[_Unit],
    fraction: float,
    generator: np.random.Generator,
    whole: bool = False,
) -> list[int]:
    """Clips of about that share of the units, at least one; never all of them.

    Class by class where each unit has one class and is not ``whole``, so that every
    class keeps a clip on both sides.
    """
    if not fraction:
        return []
    labels = [{items[number].label for number in unit} for unit in units]
    if not whole and all(len(found) == 1 for found in labels):
        return _draw_by_class(units, labels, fraction, generator)
    classes = {item.label for item in items}
    total = sum(map(len, units))
    count = min(len(units) - 1, max(1, round(fraction * len(units))))
    best: tuple[tuple[float, ...], list[int]] | None = None
    for _ in range(_TRIES):
        order = generator.permutation(len(units))
        chosen = sorted(order[:count].tolist())
        kept = set().union(*(labels[place] for place in order[count:].tolist()))
        taken = set().union(*(labels[place] for place in chosen))
        share = sum(len(units[place]) for place in chosen) / total
        lack = (len(classes - kept), len(classes - taken), abs(share - fraction))
        if best is None or lack < best[0]:
            best = lack, [number for place in chosen for number in units[place]]
    assert best is not None
    return best[1]


def _draw_by_class(
    units: Sequence[_Unit],
    labels: Sequence[set],
    fraction: float,
    generator: np.random.Generator,
) -> list[int]:
    found: list[int] = []
    by_class: dict[Hashable, list[_Unit]] = defaultdict(list)
    for unit, names in zip(units, labels, strict=True):
        by_class[next(iter(names))].append(unit)
    for label in sorted(by_class, key=_order):
        members = by_class[label]
        count = min(len(members) - 1, max(1, round(fraction * len(members))))
        for place in generator.permutation(len(members))[:count].tolist():
            found += members[place]
    return found


def _order(label: Hashable) -> tuple[bool, int, str]:
    """Numbers by size, then names."""
    number = label if isinstance(label, int) else 0
    return not isinstance(label, int), number, str(label)


def _hold_out(
    items: Sequence[SplitItem],
    result: np.ndarray,
    fraction: float,
    generator: np.random.Generator,
    by_subject: bool,
) -> list[str]:
    """Move a share of train to val, in place; notes for the reader."""
    rows = np.flatnonzero(result == TRAIN).tolist()
    train = [items[row] for row in rows]
    chosen, notes = None, []
    if by_subject and len(_units(train, True)) > 1:
        chosen = _draw(train, _units(train, True), fraction, generator, whole=True)
        kept = {item.label for place, item in enumerate(train) if place not in chosen}
        if kept != {item.label for item in train}:
            chosen = None
    if chosen is None:
        chosen = _draw(train, _units(train, False), fraction, generator)
        if by_subject and chosen:
            notes.append(
                "too few subjects for val: it has other clips of those in train, and"
                " the test split none"
            )
    result[[rows[place] for place in chosen]] = VAL
    if not chosen:
        notes.append("there is no val split: no checkpoint is chosen, the last counts")
    return notes


def _as_given(
    items: Sequence[SplitItem], val_fraction: float, generator: np.random.Generator
) -> Splits:
    result = np.array([item.split for item in items], dtype=object)
    found = {*result.tolist()}
    if len(found) < 2:
        raise InputError(
            f"all {len(items)} clips are in the split {items[0].split!r}; expected"
            " clips to train on and others to test: leave the column empty, and splits"
            " are made"
        )
    if TRAIN not in found:
        raise InputError(f"the splits are {sorted(found)}; expected {TRAIN!r} too")
    notes = []
    apart = all(item.subject is not None for item in items)
    for key, what in (("group", "parts of"), ("subject", "clips of the subject")):
        where: dict[str, SplitItem] = {}
        for item in items:
            name = getattr(item, key)
            first = where.setdefault(name, item)
            if name is None or first.split == item.split:
                continue
            told = f"{what} {name!r} are in {first.split} and {item.split}"
            if key == "group":
                raise InputError(
                    f"{item.place}: {told} ({first.place}); expected all parts of a"
                    " video in one split"
                )
            apart = False
            notes.append(f"{told}: the test says nothing of new people")
            break
    if VAL not in found:
        notes += _hold_out(items, result, val_fraction, generator, apart)
    if TEST not in found:
        notes.append("there is no test split: val has chosen the checkpoint it judges")
    notes += _lacking(items, result)
    rule = "as given" + (", val out of train" if VAL in {*result} - found else "")
    return Splits([str(name) for name in result], rule, notes)
