"""The file that EPIC-KITCHENS-100's challenges take: written, read, and checked.

A zip that holds ``test.json``:

    {"version": "0.2", "challenge": "action_recognition" | "action_anticipation",
     "sls_pt": 0..5, "sls_tl": 0..5, "sls_td": 0..5,
     "results": {narration_id: {"verb": {"0": score, ... "96": score},
                                "noun": {"0": score, ... "299": score},
                                "action": {"verb,noun": score, ... 100 of them}}}}

All narration ids of the split and no others; "action" for all of them or for none. The
rules are those of C3's evaluator, and stricter in what it lets pass by chance: a key
that stands twice, a score that is NaN, infinite or a boolean, a key such as "07".
"""

import json
import math
import os
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mmfusion.evaluation.ek100 import Scores
from mmfusion.utils.errors import InputError, MMFusionError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.schema import shown
from mmfusion.utils.text_files import RepeatedKeyError, no_key_twice, read_bytes

VERSION = "0.2"
CHALLENGES = ("action_recognition", "action_anticipation")
MEMBER = "test.json"
NUM_VERBS, NUM_NOUNS, NUM_ACTIONS = 97, 300, 100
_ROWS = 128  # segments whose 97 x 100 sums are in memory at a time
_MAX_BYTES = 1 << 31
_MAX_DIGITS = 300  # of a whole number; a float holds no more
_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
_CLASS, _PAIR = re.compile(_NUMBER), re.compile(f"({_NUMBER}),({_NUMBER})")


class SubmissionError(MMFusionError, ValueError):
    """A file that the challenge would refuse, or misread.

    Args:
        fault: a short name of the kind of fault, such as ``missing id``.
        message: what was wrong and what was expected.
    """

    def __init__(self, fault: str, message: str) -> None:
        super().__init__(f"{fault}: {message}")
        self.fault, self.message = fault, message


@dataclass(frozen=True)
class Supervision:
    """Supervision of a model's training, on the challenges' scales of 0 to 5.

    Attributes:
        pt: pre-training; 0 none, 1 images, 2 images and video, 3 self-supervised, 4 and
            on EPIC-KITCHENS, 5 private data.
        tl: labels in training; 3 is with start and stop times, 5 with knowledge beyond
            them, which questions written from the labels are.
        td: training data; 3 the training split, 4 validation as well, 5 more.
    """

    pt: int
    tl: int
    td: int

    def fields(self) -> dict[str, int]:
        """As in the file."""
        return {"sls_pt": self.pt, "sls_tl": self.tl, "sls_td": self.td}


def best_actions(
    scores: Scores, count: int = NUM_ACTIONS
) -> Iterator[list[tuple[int, int, float]]]:
    """For each segment its best actions, the best first, as (verb, noun, score).

    Args:
        scores: of n segments.
        count: how many; fewer where there are not so many pairs.
    """
    for start in range(0, len(scores.verb), _ROWS):
        rows = slice(start, start + _ROWS)
        if scores.action is None:
            value, pairs = _best_pairs(scores.verb[rows], scores.noun[rows], count)
        else:
            assert scores.pairs is not None  # Scores has checked it
            value = scores.action[rows]
            pairs = np.broadcast_to(scores.pairs, (*value.shape, 2))
        order = _best_first(value, count)  # (rows, count)
        value = np.take_along_axis(value, order, axis=1)
        pairs = np.take_along_axis(pairs, order[..., None], axis=1)
        for own, names in zip(value.tolist(), pairs.tolist(), strict=True):
            yield [(v, n, x) for (v, n), x in zip(names, own, strict=True)]


def _best_pairs(
    verb: NDArray[np.floating], noun: NDArray[np.floating], count: int
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Sums (r, m) of the best verbs and nouns of r rows; their classes (r, m, 2)."""
    best_verb, best_noun = _best_first(verb, count), _best_first(noun, count)
    top_verb = np.take_along_axis(verb, best_verb, axis=1).astype(np.float64)
    top_noun = np.take_along_axis(noun, best_noun, axis=1).astype(np.float64)
    value = top_verb[:, :, None] + top_noun[:, None, :]
    both = np.broadcast_arrays(best_verb[:, :, None], best_noun[:, None, :])
    pairs = np.stack(both, axis=-1)  # (r, verbs, nouns, 2)
    return value.reshape(len(verb), -1), pairs.reshape(len(verb), -1, 2)


def _best_first(value: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """(r, m) places of the m <= count highest of (r, k), from the highest on."""
    size = min(count, value.shape[1])
    found = np.argpartition(-value, size - 1, axis=1)[:, :size]
    order = np.argsort(-np.take_along_axis(value, found, axis=1), axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)


def write_submission(
    path: str | os.PathLike,
    ids: Sequence[str],
    scores: Scores,
    *,
    challenge: str,
    supervision: Supervision,
    num_actions: int = NUM_ACTIONS,
) -> None:
    """Write the zip, whole or not at all, a segment at a time.

    Args:
        path: ends with ``.zip``.
        ids: n narration ids, each once.
        scores: of the n segments, finite.
        challenge: one of ``CHALLENGES``.
        supervision: what the model was trained with.
        num_actions: best actions a segment.

    Raises:
        SubmissionError: the file would be refused; nothing is written.
    """
    if Path(path).suffix != ".zip":
        raise InputError(f"path is {str(path)!r}, expected a name in .zip")
    head = {"version": VERSION, "challenge": challenge, **supervision.fields()}
    _check_head({**head, "results": {}}, challenge)
    if len(ids) != len(scores.verb):
        raise InputError(f"{len(ids)} ids for scores of {len(scores.verb)} segments")
    if len(set(ids)) != len(ids):
        twice = next(name for name in ids if list(ids).count(name) > 1)
        _fail("key twice", f"the narration id {twice!r} comes more than once")
    for name in ("verb", "noun", "action"):
        value = getattr(scores, name)
        if value is None:
            continue
        bad = np.flatnonzero(~np.isfinite(value).all(axis=1))
        if bad.size:
            _fail("score", f"{ids[bad[0]]!r} has a {name} score that is not finite")
    found = scores.num_actions
    if found < num_actions:
        _fail("action count", f"there are {found} actions, expected {num_actions}")
    # one date for all, so that equal scores give an equal file
    info = zipfile.ZipInfo(MEMBER, (1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED

    def write(stream: Any) -> None:
        with zipfile.ZipFile(stream, "w") as archive, archive.open(info, "w") as member:
            member.write(f'{json.dumps(head)[:-1]}, "results": {{\n'.encode())
            for number, text in enumerate(_entries(ids, scores, num_actions)):
                member.write(((",\n" if number else "") + text).encode())
            member.write(b"\n}}\n")

    write_atomic(path, write)


def _entries(ids: Sequence[str], scores: Scores, num_actions: int) -> Iterator[str]:
    """The JSON text of each segment; nine digits keep a float32 exactly."""
    best_of_each = best_actions(scores, num_actions)
    rows = zip(ids, scores.verb, scores.noun, best_of_each, strict=True)
    for name, verb, noun, best in rows:
        parts = {
            "verb": _object((str(i), x) for i, x in enumerate(verb.tolist())),
            "noun": _object((str(i), x) for i, x in enumerate(noun.tolist())),
            "action": _object((f"{v},{n}", x) for v, n, x in best),
        }
        text = ", ".join(f'"{task}": {part}' for task, part in parts.items())
        yield f"{json.dumps(name)}: {{{text}}}"


def _object(pairs: Iterable[tuple[str, float]]) -> str:
    return "{" + ", ".join(f'"{key}": {x:.9g}' for key, x in pairs) + "}"


def read_submission(path: str | os.PathLike) -> dict[str, Any]:
    """The content of a zip's ``test.json``, or of a bare ``.json``.

    Raises:
        SubmissionError: it is none.
    """
    if Path(path).suffix == ".json":
        try:
            data = read_bytes(path, max_bytes=_MAX_BYTES, error_type=InputError)
        except InputError as error:
            _fail("file", str(error))
        return _decode(data, path)
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.namelist() != [MEMBER]:
                names = archive.namelist()[:5]
                _fail("zip", f"{path} holds {names}, expected {MEMBER!r} alone")
            size = archive.getinfo(MEMBER).file_size
            if size > _MAX_BYTES:
                _fail("zip", f"{MEMBER} has {size} bytes, over {_MAX_BYTES}")
            content = archive.read(MEMBER)
    except (SubmissionError, FileNotFoundError):
        raise
    except Exception as error:  # zipfile and zlib find about anything in damaged bytes
        _fail("zip", f"{path}: {type(error).__name__}: {error!s:.200}")
    return _decode(content, path)


def _decode(content: bytes, path: str | os.PathLike) -> dict[str, Any]:
    def not_a_number(text: str) -> NoReturn:
        _fail("score", f"{path} has {text}, expected finite numbers")

    def whole_number(text: str) -> int:
        if len(text) > _MAX_DIGITS:
            not_a_number(f"a number of {len(text)} digits")
        return int(text)

    try:
        found = json.loads(
            content.decode(),
            object_pairs_hook=no_key_twice,
            parse_constant=not_a_number,
            parse_int=whole_number,
        )
    except RepeatedKeyError as error:
        _fail("key twice", f"{path}: {error}")
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        _fail("json", f"{path}: {error}")
    if not isinstance(found, dict):
        _fail("json", f"{path} is a JSON {type(found).__name__}, expected an object")
    return found


def check_submission(
    submission: Mapping[str, Any],
    expected_ids: Collection[str],
    *,
    challenge: str | None = None,
    source: str | os.PathLike = "the submission",
    num_verbs: int = NUM_VERBS,
    num_nouns: int = NUM_NOUNS,
    num_actions: int = NUM_ACTIONS,
) -> None:
    """Refuse what the challenge would refuse; the error has the name of the fault.

    Args:
        submission: what :func:`read_submission` gives.
        expected_ids: the narration ids of the split.
        challenge: the one that is meant; None allows both.
        source: name of its file, for errors.
        num_verbs: classes that each segment must score.
        num_nouns: the same.
        num_actions: "verb,noun" entries that each segment must have, if any has some.

    Raises:
        SubmissionError: the first fault.
    """
    sizes = {"verb": num_verbs, "noun": num_nouns}
    try:
        _check_head(submission, challenge)
        check_ids(submission["results"], expected_ids)
        _check_results(submission["results"], sizes, num_actions)
    except SubmissionError as error:
        raise SubmissionError(error.fault, f"{source}: {error.message}") from None


def _check_results(
    results: Mapping[str, Any], sizes: Mapping[str, int], num_actions: int
) -> None:
    with_actions = [name for name, entry in results.items() if "action" in entry]
    if with_actions and len(with_actions) != len(results):
        _fail(
            "some actions",
            f"{len(with_actions)} of {len(results)} segments have action scores, "
            "expected all or none",
        )
    for name, entry in results.items():
        unknown = sorted(set(entry) - {"verb", "noun", "action"})
        if unknown:
            _fail(
                "task", f"{name} has {shown(unknown)}, expected verb, noun and action"
            )
        for task, size in sizes.items():
            _check_classes(name, entry, task, size)
        if with_actions:
            _check_actions(name, entry, sizes, num_actions)


def check_ids(found: Collection[str], expected_ids: Collection[str]) -> None:
    """Refuse other narration ids than those of the split.

    Raises:
        SubmissionError: ``missing id`` or ``unexpected id``.
    """
    missing = sorted(set(expected_ids).difference(found))
    if missing:
        _fail("missing id", f"no results for {_some(missing)}")
    unexpected = sorted(set(found).difference(expected_ids))
    if unexpected:
        _fail("unexpected id", f"results for {_some(unexpected)}, not of this split")


def _check_head(submission: Mapping[str, Any], challenge: str | None) -> None:
    version = submission.get("version")
    if version != VERSION:
        _fail("version", f"version is {shown(version)}, expected {VERSION!r}")
    allowed = CHALLENGES if challenge is None else (challenge,)
    found = submission.get("challenge")
    if found not in allowed or found not in CHALLENGES:
        _fail(
            "challenge", f"challenge is {shown(found)}, expected one of {list(allowed)}"
        )
    for key in ("sls_pt", "sls_tl", "sls_td"):
        level = submission.get(key)
        if type(level) is not int or not 0 <= level <= 5:
            _fail("sls", f"{key} is {shown(level)}, expected 0, 1, 2, 3, 4 or 5")
    results = submission.get("results")
    if not isinstance(results, Mapping) or not all(
        isinstance(entry, Mapping) for entry in results.values()
    ):
        _fail("results", "results is missing or no object of objects by narration id")


def _check_classes(name: str, entry: Mapping, task: str, size: int) -> None:
    scores = entry.get(task)
    if not isinstance(scores, Mapping):
        _fail("task", f"{name} has no {task} scores")
    wrong = [key for key in scores if not _CLASS.fullmatch(key)]
    if wrong:
        _fail(
            "class", f"{name} has the {task} class {shown(wrong[0])}, expected a number"
        )
    found = {int(key) for key in scores}
    missing = sorted(set(range(size)) - found)
    if missing:
        _fail("missing class", f"{name} has no score for {task} {_some(missing)}")
    unexpected = sorted(found - set(range(size)))
    if unexpected:
        _fail(
            "unexpected class",
            f"{name} scores {task} {_some(unexpected)}, expected 0 to {size - 1}",
        )
    _check_numbers(name, task, scores)


def _check_actions(
    name: str, entry: Mapping, sizes: Mapping[str, int], count: int
) -> None:
    scores = entry["action"]
    if not isinstance(scores, Mapping) or len(scores) != count:
        size = len(scores) if isinstance(scores, Mapping) else "no"
        _fail("action count", f"{name} has {size} action scores, expected {count}")
    for key in scores:
        match = _PAIR.fullmatch(key)
        if match is None:
            _fail("action", f"{name} has the action {shown(key)}, expected 'verb,noun'")
        if int(match[1]) >= sizes["verb"] or int(match[2]) >= sizes["noun"]:
            _fail(
                "unexpected class",
                f"{name} has the action {key!r}, expected verbs below {sizes['verb']} "
                f"and nouns below {sizes['noun']}",
            )
    _check_numbers(name, "action", scores)


def _check_numbers(name: str, task: str, scores: Mapping) -> None:
    for key, score in scores.items():
        number = isinstance(score, int | float) and not isinstance(score, bool)
        if not number or not math.isfinite(score):
            _fail(
                "score",
                f"{name} has {shown(score)} for {task} {key}, expected a number",
            )


def _some(values: Sequence[Any]) -> str:
    first = ", ".join(f"{value!s:.80}" for value in values[:5])
    return f"{first} and {len(values) - 5} more" if len(values) > 5 else first


def _fail(fault: str, message: str) -> NoReturn:
    raise SubmissionError(fault, message)
