"""Damage to skeleton files, and what an independent reading says of them.

The reading here is slow and plain on purpose, one joint after the other, and shares
nothing with the package: the campaign compares both.
"""

import io
import math
import pickle
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

Random = np.random.Generator
UNITS = {"m": (1000.0, 0.01, 1.0), "mm": (1e6, 10.0, 1000.0)}  # limit, hand's extent
MOST = 1e6  # of any coordinate


def hands(random: Random, num: int = 4, count: int = 2) -> np.ndarray:
    """(num, count, 21, 3) float32: hands of 10 to 20 cm, half a metre away."""
    fingers = np.arange(21)[:, None] * random.uniform(0.004, 0.008, 3)
    places = random.uniform(-0.3, 0.3, (num, count, 1, 3)) + [0, 0, 0.6]
    return (fingers + places).astype(np.float32)


def damaged(data: bytes, random: Random) -> bytes:
    """The bytes of a file after one accident."""
    data = bytearray(data)
    place = int(random.integers(len(data)))
    kind = int(random.integers(8))
    if kind == 0:
        return bytes(data[:place])
    if kind == 1:
        for _ in range(int(random.integers(1, 6))):
            data[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
    elif kind == 2:
        size = int(random.integers(1, 64))
        data[place : place + size] = bytes(len(data[place : place + size]))
    elif kind == 3:
        data[place:place] = random.bytes(int(random.integers(1, 9)))
    elif kind == 4:
        del data[place : place + int(random.integers(1, 9))]
    elif kind == 5:
        other = int(random.integers(len(data)))
        data[place : place + 32] = data[other : other + 32]
    elif kind == 6:
        return random.bytes(int(random.integers(0, 200)))
    else:
        data[place] = int(random.integers(256))
    return bytes(data)


def _hand(value: float) -> Callable[[dict, Random], None]:
    def change(arrays: dict, random: Random) -> None:
        frame, hand = _spot(arrays["keypoint"], random)[:2]
        arrays["keypoint"][frame, hand] = value

    return change


def _joint(change_of: Callable[[np.ndarray], Any]) -> Callable[[dict, Random], None]:
    def change(arrays: dict, random: Random) -> None:
        spot = _spot(arrays["keypoint"], random)
        arrays["keypoint"][spot] = change_of(arrays["keypoint"][spot])

    return change


def _whole(key: str, change_of: Callable[[Any], Any]) -> Callable[[dict, Random], None]:
    def change(arrays: dict, random: Random) -> None:
        arrays[key] = change_of(arrays[key])

    return change


def _spot(keypoint: np.ndarray, random: Random) -> tuple[int, int, int]:
    frame, hand, joint = (int(random.integers(size)) for size in keypoint.shape[:3])
    return frame, hand, joint


def _unseen_joint(arrays: dict, random: Random) -> None:
    spot = _spot(arrays["keypoint"], random)
    arrays["valid"] = np.ones(arrays["keypoint"].shape[:3], bool)
    arrays["valid"][spot] = False
    arrays["keypoint"][spot] = random.choice([0, np.nan, 1e9, 3.0])


def _unsaid(arrays: dict, random: Random) -> None:
    del arrays["valid"]
    spot = _spot(arrays["keypoint"], random)
    arrays["keypoint"][spot] = random.choice([np.nan, np.inf])


# changes of keypoint and valid, which every door reads
VALUES: dict[str, Callable[[dict, Random], None]] = {
    "nothing": lambda arrays, random: None,
    "hand of zeros": _hand(0),
    "hand at one place": _hand(-1),
    "hand of NaN": _hand(np.nan),
    "joint at the origin": _joint(lambda xyz: 0),
    "joint NaN": _joint(lambda xyz: np.nan),
    "joint infinite": _joint(lambda xyz: -np.inf),
    "joint in another unit": _joint(lambda xyz: xyz * 1000),
    "joint a metre off": _joint(lambda xyz: xyz + 1.1),
    "joint far": _joint(lambda xyz: 1e9),
    "all in another unit": _whole("keypoint", lambda k: k * 1000),
    "all too small": _whole("keypoint", lambda k: k / 1000),
    "joint said unseen": _unseen_joint,
    "NaN, nothing said": _unsaid,
    "nothing said": lambda arrays, random: arrays.pop("valid"),
    "seen as 0 and 1": _whole("valid", lambda v: v.astype(np.uint8)),
    "seen as floats": _whole("valid", lambda v: v.astype(float)),
    "seen as NaN": _whole("valid", lambda v: np.full(v.shape, np.nan)),
    "seen as 2": _whole("valid", lambda v: v + np.int64(1)),
    "seen as text": _whole("valid", lambda v: v.astype(str)),
    "seen as objects": _whole("valid", lambda v: v.astype(object)),
    "seen turned": _whole("valid", np.transpose),
    "seen for one frame less": _whole("valid", lambda v: v[1:]),
    "one joint less": _whole("keypoint", lambda k: k[:, :, 1:]),
    "one hand": _whole("keypoint", lambda k: k[:, :1]),
    "three hands": _whole("keypoint", lambda k: np.concatenate([k, k[:, :1]], 1)),
    "plane joints": _whole("keypoint", lambda k: k[..., :2]),
    "flat": _whole("keypoint", lambda k: k.reshape(len(k), -1)),
    "no frames": _whole("keypoint", lambda k: k[:0]),
    "half floats": _whole("keypoint", lambda k: k.astype(np.float16)),
    "big-endian": _whole("keypoint", lambda k: k.astype(">f8")),
    "by column": _whole("keypoint", np.asfortranarray),
    "complex": _whole("keypoint", lambda k: k.astype(complex)),
    "integers": _whole("keypoint", lambda k: (k * 100).astype(np.int16)),
    "text": _whole("keypoint", lambda k: k.astype("U8")),
    "objects": _whole("keypoint", lambda k: k.astype(object)),
}


def plain_npz(data: bytes) -> dict[str, np.ndarray] | None:
    """Arrays of an npz as NumPy alone reads them; None where it cannot."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception:
        return None


def npz_bytes(arrays: dict[str, Any], random: Random) -> bytes:
    """An npz, compressed or not."""
    buffer = io.BytesIO()
    save = np.savez if random.random() < 0.5 else np.savez_compressed
    save(buffer, **arrays)
    return buffer.getvalue()


def disguised(data: bytes, random: Random) -> bytes:
    """An npz that says of an array what is not so."""
    kind = int(random.integers(4))
    content = bytearray(data)
    if kind == 0:  # the text of a header claims terabytes
        place = data.find(b"'shape': (")
        if place < 0:
            return damaged(data, random)
        content[place + 10 : place + 13] = b"9**"[: int(random.integers(1, 4))] * 3
        return bytes(content)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        item = archive.infolist()[0]
    local, central = item.header_offset, data.index(b"PK\x01\x02")
    if kind == 1:  # encrypted
        content[local + 6] |= 1
        content[central + 8] |= 1
    elif kind == 2:  # an unknown compression
        content[local + 8] = content[central + 10] = int(random.integers(9, 90))
    else:  # a size of gigabytes
        content[central + 24 : central + 28] = random.bytes(4)
    return bytes(content)


def expected(
    keypoint: Any, valid: Any, unit: str | None, joints: int | None = 21
) -> tuple[np.ndarray, np.ndarray] | None:
    """Joints (t, h, j, 3) and mask (t, h, j), or None where they must be refused."""
    keypoint = np.asarray(keypoint)
    if keypoint.dtype.kind not in "fiu" or keypoint.ndim != 4 or 0 in keypoint.shape:
        return None
    num, count, per_hand, axes = keypoint.shape
    if axes != 3 or (joints is not None and (count, per_hand) != (2, joints)):
        return None
    said = None if valid is None else np.asarray(valid)
    if said is not None:
        if said.shape not in ((num, count), (num, count, per_hand)):
            return None
        if said.dtype.kind not in "biuf":
            return None
        if not all(float(one) in (0.0, 1.0) for one in said.reshape(-1)):
            return None
    out = np.zeros(keypoint.shape, np.float32)
    mask = np.zeros(keypoint.shape[:3], bool)
    for frame in range(num):
        for hand in range(count):
            seen = _seen_joints(keypoint[frame, hand].astype(float), said, frame, hand)
            if not _is_sound([xyz for _, xyz in seen], per_hand, unit):
                return None
            for joint, xyz in seen:
                out[frame, hand, joint] = np.float32(xyz)
                mask[frame, hand, joint] = True
    return out, mask


def _seen_joints(
    hand_joints: np.ndarray, said: np.ndarray | None, frame: int, hand: int
) -> list[tuple[int, list[float]]]:
    """Number and place of each joint of one hand (j, 3) that counts as seen."""
    every = [row.tolist() for row in hand_joints]
    if all(value == 0 for xyz in every for value in xyz):
        return []
    kept = []
    for joint, xyz in enumerate(every):
        if said is None:
            is_seen = all(math.isfinite(value) for value in xyz)
        else:
            flag = said[frame, hand] if said.ndim == 2 else said[frame, hand, joint]
            is_seen = float(flag) == 1
        if is_seen:
            kept.append((joint, xyz))
    return kept


def _is_sound(seen: list[list[float]], per_hand: int, unit: str | None) -> bool:
    """Tell whether the seen joints of one hand can be so."""
    for xyz in seen:
        if not all(math.isfinite(value) and abs(value) < MOST for value in xyz):
            return False
    if unit is None or not seen:
        return True
    limit, small, large = UNITS[unit]
    if any(abs(value) >= limit for xyz in seen for value in xyz[:2]):
        return False
    sides = [max(one) - min(one) for one in zip(*seen, strict=True)]
    return max(sides) <= large and (len(seen) < per_hand or max(sides) >= small)


class _Plain(pickle._Unpickler):  # type: ignore[name-defined]
    """Arrays and plain values; a damaged pickle must not run anything here either.

    That in Python: one damaged opcode makes the one in C fill gigabytes.
    """

    def find_class(self, module: str, name: str) -> Any:
        known = {"_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer", "encode"}
        if name not in known or module.split(".")[0] not in ("numpy", "_codecs"):
            raise pickle.UnpicklingError(name)
        return super().find_class(module, name)


def plain_pickle(data: bytes) -> Any:
    """Content of a pickle as Python itself reads it; None where it cannot."""
    try:
        return _Plain(io.BytesIO(data)).load()
    except Exception:
        return None
