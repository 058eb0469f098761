"""Clips to train, val and test, so that the test says something about new clips.

Splits that are given are kept. Else, where it is known who is in each clip, or where it
was filmed, no subject and no scene of the test split is seen in training; else every
class is cut by the same shares. Parts of one video never lie in two splits. Test clips
are never used to choose a checkpoint: val is taken from what is left for training.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mmfusion.utils.errors import InputError

TRAIN, VAL, TEST = "train", "val", "test"
VAL_FRACTION, TEST_FRACTION = 0.15, 0.2
BINDING = ("subject", "scene")  # what keeps clips together, where all clips say it
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
        scene: where it was filmed, or any other name of clips that stay together.
        fold: number of the fold that tests it, as given, or None.
        val_of: folds in which it is validation, as given, or None.
    """

    place: str
    label: Hashable | None
    group: str
    subject: str | None = None
    split: str | None = None
    scene: str | None = None
    fold: int | None = None
    val_of: tuple[int, ...] | None = None


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
    """The split of each clip: as given, else by subject or scene, else by class.

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
    check_shares(items, val=val_fraction, test=test_fraction)
    generator = np.random.default_rng(seed)
    if given_for_all(items, "split"):
        return _as_given(items, val_fraction, generator)
    _check_classes(items)
    keys, notes = binding_of(items)
    units = units_of(items, keys)
    if len(units) < 2:
        raise InputError(too_few_units(items, keys, 2))
    result = np.full(len(items), TRAIN, dtype=object)
    result[_draw(items, units, test_fraction, generator, bool(keys))] = TEST
    if keys:
        rule = f"by {' and '.join(keys)}, seed {seed}: {apart(keys)}"
    else:
        rule = f"class by class, seed {seed}"
    notes += hold_out(items, result, val_fraction, generator, keys)
    notes += lacking(items, result)
    return Splits([str(name) for name in result], rule, notes)


def check_shares(items: Sequence[SplitItem], **fractions: float) -> None:
    """Refuse shares outside 0..1, and no clips at all."""
    for name, value in fractions.items():
        if not 0 <= value < 1:
            raise InputError(
                f"--{name}-fraction is {value}, expected 0 <= fraction < 1"
            )
    if not items:
        raise InputError("there is no clip; expected one at least")


def binding_of(items: Sequence[SplitItem]) -> tuple[tuple[str, ...], list[str]]:
    """Those of :data:`BINDING` that tell clips apart; notes on what is not known."""
    keys, notes = [], []
    for key in BINDING:
        names = {getattr(item, key) for item in items}
        if given_for_all(items, key) and len(names) > 1:
            keys.append(key)
        elif key == "subject":
            who = "no subject" if None in names else "only one subject"
            notes.append(
                f"splits know {who}: the same person may be in train and test, and"
                " accuracy on new people is lower"
            )
    return tuple(keys), notes


def apart(keys: Sequence[str]) -> str:
    """Words on what splits by these keys keep apart."""
    names = {"subject": "nobody", "scene": "no scene"}
    return f"{' and '.join(names[key] for key in keys)} in test is seen in training"


def too_few_units(items: Sequence[SplitItem], keys: Sequence[str], least: int) -> str:
    """Message where fewer than ``least`` :func:`units_of` the clips exist."""
    count = len(units_of(items, keys))
    if count == 1 and not keys:
        what = f"are parts of {items[0].group!r}"
    else:
        what = f"are {count} when what hangs together by {' and '.join(keys)} is one"
        what = what if keys else f"are of {count} videos"
    many = "two videos" if not keys and least == 2 else f"{least}"
    return (
        f"all {len(items)} clips {what}; expected {many} at least, so that no video is"
        " trained on and tested"
    )


def lacking(items: Sequence[SplitItem], result: np.ndarray) -> list[str]:
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


def given_for_all(items: Sequence[SplitItem], key: str) -> bool:
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


def units_of(items: Sequence[SplitItem], keys: Sequence[str]) -> list[_Unit]:
    """Clips that stay together: of one video, and of what :func:`binding_of` found.

    A video in which several subjects act binds these subjects together.
    """
    parent: dict[Hashable, Hashable] = {}

    def root(key: Hashable) -> Hashable:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    for item in items:
        for key in keys:
            parent[root(("group", item.group))] = root((key, getattr(item, key)))
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


def hold_out(
    items: Sequence[SplitItem],
    result: np.ndarray,
    fraction: float,
    generator: np.random.Generator,
    keys: Sequence[str],
) -> list[str]:
    """Move a share of train to val, in place; notes for the reader.

    Args:
        items: n clips.
        result: (n,) names of splits.
        fraction: of the clips in train.
        generator: of the draw.
        keys: of :func:`binding_of`: what val and train do not share, if possible.
    """
    rows = np.flatnonzero(result == TRAIN).tolist()
    train = [items[row] for row in rows]
    chosen, notes = None, []
    if keys and len(units_of(train, keys)) > 1:
        chosen = _draw(train, units_of(train, keys), fraction, generator, whole=True)
        kept = {item.label for place, item in enumerate(train) if place not in chosen}
        if kept != {item.label for item in train}:
            chosen = None
    if chosen is None:
        chosen = _draw(train, units_of(train, ()), fraction, generator)
        if keys and chosen:
            what = " and ".join(f"{key}s" for key in keys)
            notes.append(
                f"too few {what} for val: it has other clips of those in train, and"
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
    across = straddling(items, result.tolist())
    notes = [*across.values()]
    if VAL not in found:
        keys = [
            key
            for key in BINDING
            if key not in across and all(getattr(item, key) for item in items)
        ]
        notes += hold_out(items, result, val_fraction, generator, keys)
    if TEST not in found:
        notes.append("there is no test split: val has chosen the checkpoint it judges")
    notes += lacking(items, result)
    rule = "as given" + (", val out of train" if VAL in {*result} - found else "")
    return Splits([str(name) for name in result], rule, notes)


def straddling(items: Sequence[SplitItem], splits: Sequence[str]) -> dict[str, str]:
    """Subjects and scenes that lie in several splits: a note for each kind.

    Raises:
        InputError: parts of one video do.
    """
    kinds = {
        "group": ("parts of", ""),
        "subject": ("clips of the subject", "people"),
        "scene": ("clips of the scene", "scenes"),
    }
    notes = {}
    for key, (what, new) in kinds.items():
        where: dict[str, int] = {}
        for number, item in enumerate(items):
            name = getattr(item, key)
            first = where.setdefault(name, number)
            if name is None or splits[first] == splits[number]:
                continue
            told = f"{what} {name!r} are in {splits[first]} and {splits[number]}"
            if key == "group":
                raise InputError(
                    f"{item.place}: {told} ({items[first].place}); expected all parts"
                    " of a video in one split"
                )
            notes[key] = f"{told}: the test says nothing of new {new}"
            break
    return notes
