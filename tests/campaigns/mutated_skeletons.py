"""Skeleton and box files with damaged bytes or values, through every door.

Kinds: npz through prepare and through LoadSkeleton; the columns of a cache, and those
of prepare; H2O's hand pose text; OakInk2's joints and pickles; MMAction2's pose
pickles, in one file and in one a clip, by frame or as one list; boxes as npz and csv.

A file is read with the values that an independent reading gives, masked as it says, or
refused by an error of ours that names the file. Two doors to one file agree.
"""

import csv
import io
import math
import pickle
import re
from argparse import Namespace
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from mmfusion.datasets import MultiModalDataset
from mmfusion.datasets.caches.box_cache import load_box_file
from mmfusion.datasets.caches.skeleton_cache import load_skeleton_file
from mmfusion.datasets.transforms import LoadSkeleton
from mmfusion.layouts import h2o
from mmfusion.layouts.frame_listing import FrameListing
from mmfusion.layouts.hand_object_boxes import CSV_COLUMNS, read_box_csv
from mmfusion.layouts.landmarks import LandmarkOptions
from mmfusion.layouts.mmaction_pose import load_pose_file, read_pose
from mmfusion.layouts.sequence_arrays import read_sequences
from mmfusion.layouts.skeleton_arrays import TWO_HANDS, SkeletonKind, check_skeleton
from mmfusion.utils.errors import SkeletonError
from tests import oakink2_files
from tests.campaigns.asserting import Read, Refused, attempt
from tests.campaigns.campaign import main
from tests.campaigns.skeleton_mutations import (
    VALUES,
    Random,
    damaged,
    disguised,
    expected,
    hands,
    npz_bytes,
    plain_npz,
    plain_pickle,
)
from tools.data.custom import prepare as custom_tool
from tools.data.oakink2 import prepare as oakink2_tool

KIND = SkeletonKind.of(TWO_HANDS)
Skeleton = tuple[np.ndarray, np.ndarray]  # joints (t, h, j, 3), mask (t, h, j)


def trial(number: int, random: Random, folder: Path) -> str:
    turn, place = divmod(number, len(KINDS))
    kind = KINDS[place]
    return f"{kind.__name__}: {kind(turn, random, folder)}"


def _in_turn(options: Sequence[Any], turn: int) -> Any:
    """One after the other, so that each is tried as often as the others."""
    return options[turn % len(options)]


def _outcome(found: Read[Skeleton] | Refused, right: Skeleton | None, what: str) -> str:
    """Compare with the independent reading, None where that refuses."""
    if isinstance(found, Refused):
        assert right is None, f"{what} is right, and refused: {found.text}"
        return "refused"
    assert right is not None, f"{what} is wrong, and taken"
    joints, mask = found.value
    np.testing.assert_array_equal(mask, right[1], err_msg=what)
    np.testing.assert_array_equal(joints, right[0], err_msg=what)
    return "read" if mask.all() else "masked"


def _by_joint(joints: np.ndarray, valid: np.ndarray) -> Skeleton:
    mask = valid if valid.ndim == 3 else valid[..., None]
    return joints, np.broadcast_to(mask, joints.shape[:3])


# npz


def _columns(num: int) -> dict[str, Any]:
    return {
        "frame_id": np.arange(num),
        "fps": 10.0,
        "sequence": "a",
        "start": np.array([0]),
        "length": np.array([num]),
        "label": np.array([0]),
        "class_names": np.array(["wave"]),
        "split": np.array(["train"]),
    }


def _prepared(path: Path) -> Skeleton:
    found = read_sequences(path, LandmarkOptions(TWO_HANDS))
    return _by_joint(found.keypoint, found.valid)


def _trained_on(path: Path) -> Skeleton:
    """Joints that a pipeline gives at the time of every frame, and their mask."""
    data = load_skeleton_file(str(path), KIND)
    results = {
        "sample_id": "a",
        "group": "a",
        "index_fps": 10.0,
        "ann_meta": {"skeleton": TWO_HANDS},
        "skeleton_path": str(path),
        "times": {"skeleton": (data.frame_id[None] + 0.5) / 10},
    }
    out = LoadSkeleton()(results)
    (joints,), (mask,) = out["joints"], out["joints_mask"]
    return np.where(mask[..., None], joints, 0), mask


def npz(turn: int, random: Random, folder: Path) -> str:
    path = folder / "set.npz"
    arrays = {"keypoint": hands(random), "valid": np.ones((4, 2), bool)}
    what, by_bytes = "damaged bytes", random.random() < 0.4
    if not by_bytes:
        what = _in_turn([*VALUES], turn)
        VALUES[what](arrays, random)
    content = npz_bytes({**arrays, **_columns(len(arrays["keypoint"]))}, random)
    if by_bytes:
        change = disguised if random.random() < 0.3 else damaged
        content = change(content, random)
    path.write_bytes(content)
    one = attempt(lambda: _prepared(path), "set.npz")
    two = attempt(lambda: _trained_on(path), "set.npz")
    plain = plain_npz(content) if by_bytes else arrays
    known = plain is not None and "keypoint" in plain
    right = expected(plain["keypoint"], plain.get("valid"), "m") if known else None
    if not by_bytes:
        assert type(one) is type(two), f"{what}: {one} and {two}"
        _outcome(one, right, what)
        return _outcome(two, right, what)
    for found in (one, two):  # a reader may be stricter than NumPy with damage
        if isinstance(found, Read):
            _outcome(found, right, what)
    return "refused" if isinstance(two, Refused) else "read, though damaged"


NUMBER = np.array([0, 1, 2, 3])
OTHER_FPS = 30.0  # the record says 10
# value and whether it can be read, of each column of a cache
CACHE: dict[str, list[tuple[Any, bool]]] = {
    "frame_id": [
        (NUMBER, True),
        (NUMBER.astype(np.uint8), True),
        (NUMBER.astype(np.uint8)[::-1], False),
        (NUMBER * 0, False),
        (NUMBER - 1, False),
        (NUMBER + 0.5, False),
        (NUMBER * np.nan, False),
        (NUMBER.astype(str), False),
        (NUMBER.astype(object), False),
        (NUMBER[:, None], False),
        (NUMBER[:3], False),
        (NUMBER.astype(np.uint64) + np.uint64(2**63), False),
        (NUMBER > 1, False),
    ],
    "fps": [
        (10, True),
        (np.float32(10), True),
        (OTHER_FPS, False),
        (-10.0, False),
        (0.0, False),
        (np.nan, False),
        (np.inf, False),
        ("10", False),
        (np.array([10.0]), False),
        (np.array([[10.0]]), False),
        (np.array(None), False),
        (True, False),
        (10j, False),
    ],
    "sequence": [
        ("a", True),
        ("b", False),
        (7, False),
        (np.array(["a"]), False),
        (np.array(None), False),
        (b"a", False),
    ],
}


def cache(turn: int, random: Random, folder: Path) -> str:
    path = folder / "cache.npz"
    columns = [(key, *one) for key, values in CACHE.items() for one in values]
    key, value, is_right = _in_turn(columns, turn)
    arrays = {"keypoint": hands(random), **_columns(4), key: value}
    path.write_bytes(npz_bytes(arrays, random))
    found = attempt(
        lambda: _trained_on(path), "cache.npz", (key, "sequence", "objects", "frame nu")
    )
    assert isinstance(found, Read) == is_right, f"{key} {value!r}: {found}"
    return f"column {'read' if is_right else 'refused'}"


WRONG: list[Any] = ["x", 0.5, np.nan, -1, 2**40, None]
PREPARE = ("start", "length", "label", "class_names", "split")


def prepare(turn: int, random: Random, folder: Path) -> str:
    """Two sequences from prepare to the pipeline, one column with a wrong value."""
    key, path = _in_turn(PREPARE, turn), folder / "set.npz"
    lengths = random.integers(1, 5, 2)
    arrays = {"keypoint": hands(random, int(lengths.sum()))}
    arrays |= {
        "start": np.array([0, lengths[0]], np.uint8),
        "length": lengths.astype(np.uint8),
        "label": np.array([1, 0], np.int16),
        "class_names": np.array(["wave", "grab"]),
        "split": np.array(["train", "test"]),
    }
    is_text, is_right = key in ("class_names", "split"), random.random() < 0.3
    if not is_right:
        value = WRONG[int(random.integers(len(WRONG)))]
        if is_text and isinstance(value, str):
            value = 7
        column = [value if is_text else arrays[key][0], value]
        kind = object if value is None or isinstance(value, str) else None
        arrays[key] = np.array(column, kind)
    path.write_bytes(npz_bytes(arrays, random))
    command = [str(path), "--out", str(folder / "out"), "--layout", "openpose21"]
    command += ["--fps", "10", "--unit", "m", "--split-by", "field:split"]
    with redirect_stdout(io.StringIO()):
        found = attempt(lambda: custom_tool.main(command), ("set.npz", "--split-by"))
    assert isinstance(found, Read) == is_right, f"{key} {arrays[key]!r}: {found}"
    if isinstance(found, Refused):
        return "refused"
    pipeline = [{"type": "SampleTimes", "num_frames": {"skeleton": 2}}]
    dataset = MultiModalDataset(
        "annotation.json",
        [*pipeline, {"type": "LoadSkeleton"}],
        data_root=str(folder / "out"),
    )
    for number, length in enumerate(lengths.tolist()):
        results = dataset[number]
        rows = np.floor(results["times"]["skeleton"][0] * 10 + 1e-3).astype(int)
        wanted = arrays["keypoint"][arrays["start"][number] + rows.clip(0, length - 1)]
        np.testing.assert_array_equal(results["joints"][0], wanted)
        assert results["label"] == {"action": arrays["label"][number]}
    return "read to the end"


# H2O


def _line(joints: np.ndarray) -> list[str]:
    """The 128 words of one frame (2, 21, 3)."""
    words = [["1", *(f"{x:.6f}" for x in hand.reshape(-1))] for hand in joints]
    return words[0] + words[1]


STRANGE = ["nan", "inf", "1e400", "x", "1_0", "0x1", "", "\u0663", "1,2", "-"]


def _change_words(words: list[str], turn: int, random: Random) -> list[str]:
    place, choice = int(random.integers(1, 64)), turn % 8
    words = list(words)
    if choice == 0:
        words[place] = _in_turn(STRANGE, turn // 8)
    elif choice == 1:
        words[int(random.choice([0, 64]))] = str(random.choice(["0", "2", "-1", "0.5"]))
    elif choice == 2:
        words = words[:place] + words[place + 1 :]
    elif choice == 3:
        words = words[:place] + ["0.5"] + words[place:]
    elif choice == 4:
        words[1:64] = ["0"] * 63
    elif choice == 5:
        words[1:64] = [str(float(word) * 1000) for word in words[1:64]]
    elif choice == 6:
        words[place] = str(float(words[place]) * 1000 + 5)
    elif choice == 7:
        words[0], words[1:64] = "0", ["nan"] * 63
    return words


def _plain_hands(text: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Joints (2, 21, 3) and flags (2,) of a line, word by word."""
    number = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)"
    words = text.split()
    if len(words) != 128 or not text.isascii() or "\0" in text:
        return None
    if not all(re.fullmatch(number, word, re.IGNORECASE) for word in words):
        return None
    values = np.array([float(word) for word in words]).reshape(2, 64)
    if not all(flag in (0.0, 1.0) for flag in values[:, 0]):
        return None
    return values[:, 1:].reshape(2, 21, 3).astype(np.float32), values[:, 0]


def hand_pose(turn: int, random: Random, folder: Path) -> str:
    joints, place = hands(random, 3), int(random.integers(3))
    for number in range(3):
        data = " ".join(_line(joints[number])).encode()
        if number == place and random.random() < 0.5:
            data = damaged(data, random)
        elif number == place:
            data = " ".join(_change_words(_line(joints[number]), turn, random)).encode()
        (folder / f"{number:06d}.txt").write_bytes(data)
    files = FrameListing(folder, ".txt", np.arange(3))
    found = attempt(lambda: _by_joint(*h2o.read_skeleton(files)), f"{place:06d}.txt")
    plain = []
    for path in sorted(folder.iterdir()):
        text = path.read_bytes().decode("utf-8-sig", "replace")
        plain.append(_plain_hands(text))
    right = None
    if all(one is not None for one in plain):
        every, flags = zip(*plain, strict=True)
        right = expected(np.stack(every), np.stack(flags), "m")
    return _outcome(found, right, f"frame {place}")


# OakInk2


def _fake_hand(poses: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """In the place of MANO: 21 joints a centimetre apart."""
    joints = np.zeros((len(poses), 21, 3), np.float32)
    joints[..., 0] = np.arange(21) / 100
    return joints


def _scan(folder: Path, key: str) -> Skeleton:
    """Cache that prepare makes of the one sequence, by ``--joints`` or ``--mano``."""
    sequence = oakink2_files.SEQUENCES["train"]
    args = Namespace(root=folder, out=folder / "out", joints=None, mano=None)
    args.overwrite, args.dry_run, args.data_root = True, False, folder
    setattr(args, key, folder / "joints")
    models = {"left": _fake_hand, "right": _fake_hand}
    with mock.patch.object(oakink2_tool, "load_hand_models", lambda _: models):
        found = oakink2_tool.scan(sequence, args)
    if found.fault is not None:
        raise SkeletonError(found.fault)
    (path,) = (folder / "out/skeleton").iterdir()
    data = load_skeleton_file(str(path), KIND)
    return _by_joint(data.keypoint, data.valid)


def _files(folder: Path) -> tuple[str, Path, Path]:
    sequence = oakink2_files.SEQUENCES["train"]
    oakink2_files.write_sequence(folder, sequence)
    token = sequence.replace("/", "++")
    joints = folder / f"joints/{token}.npz"
    return token, joints, folder / f"anno_preview/{token}.pkl"


def oakink2_joints(turn: int, random: Random, folder: Path) -> str:
    token, path, _ = _files(folder)
    arrays = {"keypoint": hands(random, 48), "valid": np.ones((48, 2), bool)}
    what, by_bytes = "damaged bytes", random.random() < 0.3
    if not by_bytes:
        what = _in_turn([*VALUES], turn)
        VALUES[what](arrays, random)
    given = {"joints_world": arrays["keypoint"], "frame_id": np.arange(100, 148)}
    given |= {"valid": arrays["valid"]} if "valid" in arrays else {}
    content = npz_bytes(given, random)
    path.write_bytes(damaged(content, random) if by_bytes else content)
    found = attempt(lambda: _scan(folder, "joints"), token)
    plain = plain_npz(path.read_bytes()) if by_bytes else given
    right = None
    if plain is not None and {"joints_world", "valid", "frame_id"} <= set(plain):
        right = expected(plain["joints_world"], plain["valid"], "m")
    if right is not None:  # the camera stands 1 m behind, and sees every fourth frame
        joints, mask = right[0][::4], right[1][::4]
        moved = joints.astype(float) + [0, 0, 1]
        right = np.where(mask[..., None], moved, 0).astype(np.float32), mask
    if by_bytes and isinstance(found, Refused):
        return "refused"
    return _outcome(found, right, what)


def _at(*keys: Any, value: Any):
    def change(content: dict) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


EGO = ("cam_extr", "egocentric")
MANO = ("raw_mano", 104)
# change of the pickle and whether it can still be read
ANNOTATION: list[tuple[Any, bool]] = [
    (lambda content: None, True),
    (lambda content: content.pop("cam_def"), False),
    (_at("cam_def", value=[]), False),
    (_at("cam_def", value={7: None, "000123": "egocentric"}), True),
    (_at("frame_id_list", value=[]), False),
    (_at("frame_id_list", value=["1"]), False),
    (_at("frame_id_list", value=[None, 1]), False),
    (_at("frame_id_list", value={"a": 1}), False),
    (_at("frame_id_list", value=[[1], [2, 3]]), False),
    (_at("frame_id_list", value=[-5]), False),
    (_at("frame_id_list", value=7), False),
    (_at("cam_intr", value={"egocentric": {}}), False),
    (_at("cam_intr", value={"egocentric": {0: np.zeros((3, 3))}}), False),
    (_at("cam_intr", value={"egocentric": {0: "x"}}), False),
    (_at("cam_intr", value=None), False),
    (_at(*EGO, 104, value=np.full((4, 4), np.nan)), False),
    (_at(*EGO, 104, value=np.eye(3)), False),
    (_at(*EGO, 104, value=np.eye(4) * 1000), False),
    (_at(*EGO, 104, value="x"), False),
    (_at(*EGO, 104, value=None), False),
    (_at(*EGO, value={"104": np.eye(4)}), False),
    (_at(*EGO, value={None: np.eye(4)}), False),
    (_at(*EGO, value=[np.eye(4)]), False),
    (_at("raw_mano", value=None), False),
    (_at("raw_mano", value=[]), False),
    (_at("raw_mano", value={}), False),
    (_at(*MANO, value=None), False),
    (_at(*MANO, value=[1]), False),
    (_at(*MANO, "lh__tsl", value=None), False),
    (_at(*MANO, "lh__tsl", value="x"), False),
    (_at(*MANO, "lh__betas", value=np.zeros(9)), False),
    (_at(*MANO, "rh__pose_coeffs", value=np.zeros((1, 15, 4))), False),
    (_at(*MANO, "rh__pose_coeffs", value=None), True),  # no such hand then
    (_at(*MANO, "rh__tsl", value=np.full((1, 3), 1e5)), False),
]


def oakink2_pickle(turn: int, random: Random, folder: Path) -> str:
    token, _, path = _files(folder)
    if random.random() < 0.4:
        path.write_bytes(damaged(path.read_bytes(), random))
        found = attempt(lambda: _scan(folder, "mano"), token)
        return "refused" if isinstance(found, Refused) else "read, though damaged"
    content = plain_copy(oakink2_files.annotation())
    change, is_right = _in_turn(ANNOTATION, turn)
    change(content)
    path.write_bytes(pickle.dumps(content))
    found = attempt(lambda: _scan(folder, "mano"), token)
    assert isinstance(found, Read) == is_right, f"turn {turn}: {found}"
    return "read" if is_right else "refused"


def plain_copy(content: Any) -> Any:
    """The annotation with dicts of its own for each frame."""
    if isinstance(content, dict):
        return {key: plain_copy(value) for key, value in content.items()}
    return np.asarray(content) if hasattr(content, "numpy") else content


# MMAction2


def _pose_values(keypoint: np.ndarray) -> dict[str, Any]:
    """Values of an entry's keys, in the file and apart."""
    half, total = keypoint.astype(np.float16), keypoint.shape[1]
    strange = [None, "x", [[1], [2, 3]], keypoint > 0, keypoint * 1j]
    strange += [keypoint.astype(object), keypoint.astype(str), {}, 3, keypoint[..., :1]]
    part = keypoint.copy()
    part[0, 1], part[1, 0, 2], part[0, 2, 3, 0] = 0, np.nan, np.inf
    score = np.ones(keypoint.shape[:3], np.float16)
    some = score.copy()
    some[0, 0, 1], some[1, 1] = 0, np.nan
    return {
        "keypoint": [half, part, keypoint[:1], keypoint[:, :0], *strange],
        "keypoint_score": [score, some, score[:1], "x", None, score * np.inf, [1]],
        "total_frames": [total, total + 1, 0, -1, "4", None, True, 2.0, 2**70],
        "label": [0, np.int64(1), None, True, "x", 0.5, [0, 1]],
        "frame_inds": [None, [0], np.arange(2 * total) % 3, np.array(["a"]), {}]
        + [np.arange(2 * total), np.arange(2 * total) - 1, np.full(8, np.nan)],
    }


def _plain_pose(entry: Any) -> Skeleton | None:
    """Joints (t, 2, j, 3) and mask of an entry, one joint after the other."""
    try:
        keypoint = np.asarray(entry["keypoint"])
        score = entry.get("keypoint_score")
        score = np.ones(keypoint.shape[:-1]) if score is None else np.asarray(score)
        total = entry["total_frames"]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    if {keypoint.dtype.kind, score.dtype.kind} - set("fiu") or 0 in keypoint.shape:
        return None
    if type(total) is not int or total < 1 or score.shape != keypoint.shape[:-1]:
        return None
    if keypoint.ndim not in (3, 4) or keypoint.shape[-1] not in (2, 3):
        return None
    if keypoint.ndim == 4:
        found = {
            (person, frame): (keypoint[person, frame], score[person, frame])
            for person, frame in np.ndindex(*keypoint.shape[:2])
        }
        rows = range(total) if keypoint.shape[1] == total else None
    else:
        found, rows = _listed(entry, keypoint, score, total)
    if rows is None:
        return None
    out = np.zeros((len(rows), 2, keypoint.shape[-2], 3), np.float32)
    mask = np.zeros(out.shape[:3], bool)
    for row, person in np.ndindex(len(rows), 2):
        joints, sure = found.get((person, rows[row]), (np.zeros((0, 3)), []))
        for joint, xyz in enumerate(joints.astype(float).tolist()):
            if not (joints != 0).any() or not all(map(math.isfinite, xyz)):
                continue
            if float(sure[joint]) > 0:
                out[row, person, joint, : len(xyz)] = xyz
                mask[row, person, joint] = True
    return out, mask


def _listed(
    entry: dict, keypoint: np.ndarray, score: np.ndarray, total: int
) -> tuple[dict, list[int] | None]:
    """Persons by (rank, frame) of one list of detections, and its frames."""
    try:
        frames = np.asarray(entry["frame_inds"])
    except (KeyError, ValueError):
        return {}, None
    if frames.dtype.kind not in "iu" or frames.shape != (len(keypoint),):
        return {}, None
    if min(frames.tolist()) < 0 or max(frames.tolist()) >= total:
        return {}, None
    ranks, found = entry["box_score"].tolist(), {}
    for frame in sorted({*frames.tolist()}):
        own = [n for n in range(len(frames)) if frames[n] == frame]
        for person, n in enumerate(sorted(own, key=lambda n: -ranks[n])):
            found[person, frame] = keypoint[n], score[n]
    return found, sorted({*frames.tolist()})


def pose(turn: int, random: Random, folder: Path) -> str:
    keypoint = hands(random).transpose(1, 0, 2, 3).copy()  # (m, t, j, c)
    if random.random() < 0.3:
        keypoint = keypoint[..., :2] * 1000
    entry: dict = {"frame_dir": "a", "label": 0, "total_frames": 4}
    entry["keypoint"] = keypoint
    if random.random() < 0.4:  # one list over all frames
        order = random.permutation(8)
        entry["keypoint"] = keypoint.reshape(8, *keypoint.shape[2:])[order]
        entry["frame_inds"] = np.tile(np.arange(4), 2)[order]
        entry["box_score"] = random.random(8)
    values = _pose_values(keypoint)
    key = _in_turn([*values], turn)
    by_bytes = random.random() < 0.3
    if not by_bytes and random.random() < 0.9:
        entry[key] = values[key][int(random.integers(len(values[key])))]
    content = pickle.dumps([entry], protocol=int(random.integers(2, 6)))
    own = pickle.dumps(entry)
    if by_bytes:
        content = damaged(content, random)
    (folder / "all.pkl").write_bytes(content)
    (folder / "a.pkl").write_bytes(own)
    found = attempt(lambda: _checked(_of_list(folder / "all.pkl")), "all.pkl")
    if by_bytes:
        if isinstance(found, Refused):
            return "refused"
        plain = plain_pickle(content)
        return _outcome(found, _plain_pose(plain[0]), "damaged bytes")
    right = _plain_pose(entry)
    if key == "label" and isinstance(found, Refused):
        assert (
            not isinstance(entry["label"], (int, type(None))) or entry["label"] is True
        )
        return "label refused"
    outcome = _outcome(found, right, f"{key} {entry.get(key)!r:.80}")
    record = {"group": "a", "index_fps": 30.0, "total_frames": 4}
    if key != "total_frames":  # which the list says, whatever the clip's file does
        alone = attempt(
            lambda: _checked(
                load_pose_file(str(folder / "a.pkl"), record, max_persons=2)
            ),
            "a.pkl",
        )
        assert _outcome(alone, right, f"{key}, in its own file") == outcome
    return outcome


def _of_list(path: Path) -> dict:
    (record,) = read_pose(str(path))
    return record["skeleton_data"]


def _checked(arrays: dict) -> Skeleton:
    """As LoadSkeleton checks what is in memory."""
    data = check_skeleton("all.pkl and a.pkl", arrays)
    return _by_joint(data.keypoint, data.valid)


# boxes


def boxes_npz(turn: int, random: Random, folder: Path) -> str:
    path, boxes = folder / "boxes.npz", np.sort(random.random((4, 2, 2, 2)), axis=2)
    arrays: dict[str, Any] = {**_columns(4), "boxes": boxes.reshape(4, 2, 4)}
    arrays |= {"valid": np.ones((4, 2), bool), "names": np.array(["a", "b"])}
    choice, is_right = turn % 8, False
    if choice == 0:
        arrays["boxes"], is_right = arrays["boxes"].astype(np.float16), True
    elif choice == 1:
        arrays["boxes"] *= 300
    elif choice == 2:
        arrays["boxes"][2, 1, 3] = np.nan
    elif choice == 3:
        arrays["boxes"][2, 1], is_right = 0, True
    elif choice == 4:
        arrays["boxes"] = arrays["boxes"][..., ::-1]
    elif choice == 5:
        key = str(random.choice(["frame_id", "fps"]))
        wrong = [value for value, right in CACHE[key] if not right]
        arrays[key] = wrong[int(random.integers(len(wrong)))]
        is_right = arrays[key] is OTHER_FPS
    elif choice == 6:
        arrays["names"] = [np.array(["a", "a"]), np.arange(2), np.array(["a"])][
            int(random.integers(3))
        ]
    content = npz_bytes(arrays, random)
    if choice == 7:
        content = damaged(content, random)
    path.write_bytes(content)
    found = attempt(lambda: load_box_file(str(path)), "boxes.npz")
    if choice == 7:
        return "refused" if isinstance(found, Refused) else "read, though damaged"
    assert isinstance(found, Read) == is_right, f"choice {choice}: {found}"
    if isinstance(found, Refused):
        return "refused"
    seen = (arrays["boxes"] != 0).any(-1)
    np.testing.assert_array_equal(found.value.valid, seen)
    np.testing.assert_array_equal(found.value.boxes, np.float32(arrays["boxes"]))
    return "read" if seen.all() else "masked"


def boxes_csv(turn: int, random: Random, folder: Path) -> str:
    rows = [["P01_01", str(n), "left hand", "0.1", "0.2", "0.3", "0.4"] for n in (3, 5)]
    if random.random() < 0.6:
        strange = ["nan", "-1", "x", "", "1e9", "9" * 30, "1.5", "inf", "0.25", "7"]
        row = rows[int(random.integers(2))]
        row[int(random.integers(7))] = str(random.choice(strange))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([CSV_COLUMNS, *rows])
    path, data = folder / "boxes.csv", text.getvalue().encode()
    if random.random() < 0.4:
        data = damaged(data, random)
    path.write_bytes(data)
    found = attempt(lambda: read_box_csv(path), "boxes.csv")
    if isinstance(found, Refused):
        return "refused"
    every = [*csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))][1:]
    for video, frame, name, *corners in (row for row in every if row):
        made = found.value[video]
        spot = made.frame_id.tolist().index(int(frame)), made.names.index(name)
        box = [float(corner) for corner in corners]
        np.testing.assert_array_equal(made.boxes[spot], np.float32(box))
        assert made.valid[spot] == any(box) and min(box) >= 0 and max(box) <= 1
    return "read"


KINDS = (
    npz,
    cache,
    npz,
    prepare,
    hand_pose,
    oakink2_joints,
    pose,
    hand_pose,
    oakink2_pickle,
    pose,
    boxes_npz,
    boxes_csv,
)

if __name__ == "__main__":
    main(trial, __doc__, 2000)
