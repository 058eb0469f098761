"""Cross-validation: every clip is tested once, by a model that has not seen its like.

Folds that are given are kept. Else whole subjects and scenes, where they are known, are
dealt to the folds so that each has about the same clips of each class. The clips to
validate on are taken from those that a fold trains on, by the rules of ``splits.py``.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmfusion.datasets.annotation import load_annotation
from mmfusion.datasets.splits import (
    TEST,
    TRAIN,
    VAL,
    VAL_FRACTION,
    SplitItem,
    Splits,
    apart,
    binding_of,
    check_shares,
    given_for_all,
    hold_out,
    lacking,
    straddling,
    too_few_units,
    units_of,
)
from mmfusion.utils.errors import AnnotationError, InputError
from mmfusion.utils.optional import import_optional

FOLD_FILE = "fold{}.json"  # annotation of a fold, in the data root
MOST_FOLDS = 100


def assign_folds(
    items: Sequence[SplitItem],
    num_folds: int,
    *,
    val_fraction: float = VAL_FRACTION,
    seed: int = 0,
) -> list[Splits]:
    """The splits of each fold; a clip is in ``test`` of exactly one.

    Args:
        items: the clips; their ``split`` is not to be given.
        num_folds: 2 or more.
        val_fraction: share of what a fold does not test that it validates on, where
            ``val_of`` says nothing; 0 makes no val.
        seed: of the draws.

    Raises:
        InputError: splits are given, folds only for some clips or none for a number,
            ``val_of`` without folds, parts of a video are in two folds, a fold has no
            clip to train on, or there are too few videos.
        MissingPackageError: scikit-learn, which deals the folds, is not installed.
    """
    check_shares(items, val=val_fraction)
    if not 2 <= num_folds <= MOST_FOLDS:
        raise InputError(f"--folds is {num_folds}, expected 2 to {MOST_FOLDS}")
    with_split = next((item for item in items if item.split is not None), None)
    if with_split is not None:
        raise InputError(
            f"{with_split.place}: split is {with_split.split!r}, and --folds makes"
            " splits of its own; leave the column split empty, or give the column fold"
        )
    keys, notes = binding_of(items)
    alone = next((i for i in items if i.val_of and i.fold is None), None)
    if alone is not None:
        raise InputError(
            f"{alone.place}: val_of says which folds validate on the clip, and no fold"
            " tests it; expected a number in the column fold, too"
        )
    if given_for_all(items, "fold"):
        folds, across = _given(items, num_folds)
        notes += across.values()
        keys = tuple(key for key in keys if key not in across)
        rule = "as given"
    else:
        folds = _dealt(items, num_folds, keys, seed)
        rule = f"by {' and '.join(keys) or 'class'}, seed {seed}"
    rule += f": {apart(keys)}" if keys else ""
    return [
        _one(items, folds, number, val_fraction, seed, (keys, rule, notes))
        for number in range(num_folds)
    ]


def check_folds(root: Path, num_folds: int, split: str = TEST) -> None:
    """Refuse annotations of folds that are not of one set, as after a write cut off.

    Args:
        root: folder of ``fold0.json`` and on. num_folds: how many there are.
        split: that is tested.

    Raises:
        AnnotationError: one has other classes than the first, or tests a clip that
            another one tests, too.
    """
    files = [root / FOLD_FILE.format(number) for number in range(num_folds)]
    first: object = None
    tested: dict[str, Path] = {}
    for file in files:
        metainfo, records = load_annotation(str(file), split)
        first = metainfo["classes"] if file == files[0] else first
        if metainfo["classes"] != first:
            raise AnnotationError(
                f"{file} has other classes than {files[0]}; prepare the folds again"
            )
        for record in records:
            other = tested.setdefault(record["id"], file)
            if other != file:
                raise AnnotationError(
                    f"{file} tests {record['id']!r}, which {other} tests, too;"
                    " expected each clip in one: prepare the folds again"
                )


def _given(
    items: Sequence[SplitItem], num_folds: int
) -> tuple[np.ndarray, dict[str, str]]:
    """(n,) folds as given, and notes on what lies in several."""
    for item in items:
        numbers = (item.fold, *(item.val_of or ()))
        wrong = [n for n in numbers if n is None or not 0 <= n < num_folds]
        if wrong:
            raise InputError(
                f"{item.place}: there is a fold {wrong[0]}; expected 0 to"
                f" {num_folds - 1}, as --folds is {num_folds}"
            )
        if item.fold in (item.val_of or ()):
            raise InputError(
                f"{item.place}: fold {item.fold} tests this clip and val_of says that"
                " it validates on it; expected other folds in val_of"
            )
    folds = np.array([item.fold for item in items])
    empty = sorted({*range(num_folds)} - {*folds.tolist()})
    if empty:
        raise InputError(f"no clip has the fold {empty[0]}; expected some in each")
    return folds, straddling(items, [f"fold {number}" for number in folds])


def _dealt(
    items: Sequence[SplitItem], num_folds: int, keys: Sequence[str], seed: int
) -> np.ndarray:
    """(n,) folds of whole units, each class spread over them as evenly as may be."""
    units = units_of(items, keys)
    if len(units) < num_folds:
        raise InputError(too_few_units(items, keys, num_folds))
    unit_of = {number: place for place, unit in enumerate(units) for number in unit}
    group = [unit_of[number] for number in range(len(items))]
    names = [str(item.label) for item in items]
    if max(Counter(names).values()) < num_folds:
        raise InputError(
            f"no class has {num_folds} clips; expected one at least for --folds"
            f" {num_folds}"
        )
    selection = import_optional("sklearn.model_selection", "folds")
    splitter = selection.StratifiedGroupKFold(
        num_folds, shuffle=True, random_state=seed
    )
    folds = np.zeros(len(items), np.int64)
    with warnings.catch_warnings():
        # a class with fewer clips than folds: a note of each fold says it
        warnings.simplefilter("ignore", UserWarning)
        parts = splitter.split(np.zeros(len(items)), names, group)
        for number, (_, tested) in enumerate(parts):
            folds[tested] = number
    return folds


def _one(
    items: Sequence[SplitItem],
    folds: np.ndarray,
    number: int,
    val_fraction: float,
    seed: int,
    how: tuple[Sequence[str], str, Sequence[str]],
) -> Splits:
    """The splits of one fold; ``how`` has what binds clips, the rule and the notes."""
    keys, rule, notes = how
    result = np.where(folds == number, TEST, TRAIN).astype(object)
    own: list[str] = []
    if any(item.val_of for item in items):
        chosen = [number in (item.val_of or ()) for item in items]
        result[np.array(chosen)] = VAL
        straddling(items, result.tolist())  # parts of one video are refused
        if not any(chosen):
            own.append("no val_of names it: no checkpoint is chosen, the last counts")
    else:
        generator = np.random.default_rng([seed, number])
        own += hold_out(items, result, val_fraction, generator, keys)
    if TRAIN not in result:
        raise InputError(
            f"fold {number} trains on no clip: it tests {list(result).count(TEST)} and"
            f" validates on {list(result).count(VAL)} of {len(items)}; expected fewer"
        )
    own += lacking(items, result)
    told = [f"fold {number}: {note}" for note in own]
    return Splits([str(name) for name in result], rule, [*notes, *told])
