"""Files of weights are damaged, exchanged or hold what no training wrote.

A work folder with two checkpoints, of which one or both are cut, have bits flipped
(half of them in the zip's directory, the pickle or the digest), runs of zeros, bytes
put in or taken out; or one is exchanged for another file. The run must go on from the
newest that is whole and name the other, or stop with exit code 3 and name all. The same
for a path given to --resume, for safetensors of ours and for archives of others. And
state dicts of three backbones are changed in content: what is another model must be
refused with its key, what is only wrapped differently must load.

Holds: no value is loaded that was not written, and no error is raw.
"""

import copy
import functools
import io
import logging
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from mmfusion.engine.launch.start import prepare_work_dir
from mmfusion.engine.runner.work_dir import newest_checkpoint
from mmfusion.models import CLIPTimeSformer, CLIPViT, VideoMamba
from mmfusion.models.backbones.clip_vit import TEXT_TOWER
from mmfusion.utils.errors import CheckpointError, WorkDirError
from mmfusion.utils.paths import write_atomic
from mmfusion.weights import Pretrained, load_checked
from mmfusion.weights.files import tensor_bytes
from tests.campaigns.asserting import Read, Refused, attempt
from tests.campaigns.campaign import main
from tests.engine.toy_runs import (
    differences,
    flatten,
    run_toy,
    same,
    toy_config,
    with_signal,
)

Random = np.random.Generator
OLD, NEW = "epoch_1.pth", "iter_8.pth"
EXIT_CODE = CheckpointError.exit_code


@functools.cache
def run_folder() -> Path:
    """A run stopped in its second epoch, the same one complete, and one of a seed."""
    folder = Path(tempfile.mkdtemp(prefix="damaged-"))
    with_signal(folder / "stopped", "iter", 8)
    with_signal(folder / "seed", "iter", 8, {"randomness.seed": 5})
    shutil.copytree(folder / "stopped", folder / "whole")
    run_toy(folder / "whole")
    others = io.BytesIO()
    torch.save(load_checked(folder / "stopped" / NEW), others)
    (folder / "others.pth").write_bytes(others.getvalue())
    state = load_checked(folder / "stopped" / NEW)["state_dict"]
    (folder / "ours.safetensors").write_bytes(tensor_bytes(state))
    return folder


def damaged(data: bytes, random: Random) -> bytes:
    """``data`` with one fault in it, never the same."""
    while True:
        found = random.choice(FAULTS)(bytearray(data), random)
        if found != data:
            return bytes(found)


def _place(data: bytearray, random: Random) -> int:
    """Anywhere, or half of the times where the structure of the file is."""
    size = len(data)
    region = random.integers(6)
    if region == 0:  # a zip's directory and the digest
        return size - 1 - int(random.integers(min(size, 3000)))
    if region == 1:  # the pickle, or the header of safetensors
        return int(random.integers(min(size, 4000)))
    if region == 2:
        return size - 1 - int(random.integers(min(size, 140)))
    return int(random.integers(size))


def cut(data: bytearray, random: Random) -> bytearray:
    return data[: _place(data, random)]


def flip(data: bytearray, random: Random) -> bytearray:
    for _ in range(random.choice([1, 1, 1, 2, 8])):
        data[_place(data, random)] ^= 1 << random.integers(8)
    return data


def zeros(data: bytearray, random: Random) -> bytearray:
    place, length = _place(data, random), 1 << random.integers(13)
    length = min(int(length), len(data) - place)
    data[place : place + length] = bytes(length)
    return data


def put_in(data: bytearray, random: Random) -> bytearray:
    place = _place(data, random)
    return data[:place] + random.bytes(1 << random.integers(10)) + data[place:]


def take_out(data: bytearray, random: Random) -> bytearray:
    place = _place(data, random)
    del data[place : place + (1 << int(random.integers(10)))]
    return data


def add(data: bytearray, random: Random) -> bytearray:
    return data + random.bytes(1 << random.integers(18))


FAULTS = [cut, flip, flip, flip, zeros, put_in, take_out, add]


def start(folder: Path) -> Path | None:
    """The file from which ``tools/train.py`` would go on.

    As the second process of a run, which does not keep the lock of the folder.
    """
    config = copy.deepcopy(_config())
    config.work_dir = str(folder)
    with mock.patch.dict(os.environ, {"RANK": "1"}):
        assert not prepare_work_dir(config, None)
    if config.get("resume") != "newest":
        return None
    logger, lines = logging.getLogger("damaged"), io.StringIO()
    logger.handlers, logger.propagate = [logging.StreamHandler(lines)], False
    path = newest_checkpoint(folder, logger)
    (folder / "log").write_text(lines.getvalue())
    return path


@functools.cache
def _config():
    return toy_config("none")


def equal(left: dict, right: dict) -> bool:
    """True if two checkpoints hold the same values, dtypes included."""
    one, other = flatten(left), flatten(right)
    return one.keys() == other.keys() and all(
        same(value, other[key]) and getattr(value, "dtype", 0) == _dtype(other[key])
        for key, value in one.items()
    )


def _dtype(value: object) -> object:
    return getattr(value, "dtype", 0)


def one_damaged(number: int, random: Random, folder: Path) -> str:
    """The run goes on from the other one, and names this one."""
    hurt, whole = random.permutation([OLD, NEW])
    work_dir = _copy(folder)
    _damage(work_dir / hurt, random)
    path = start(work_dir)
    assert path == work_dir / whole, f"goes on from {path}"
    log = (work_dir / "log").read_text()
    assert "passed over" in log and str(work_dir / hurt) in log, log
    assert equal(load_checked(path), load_checked(run_folder() / "stopped" / whole))
    if number % 40 == 0:
        run_toy(work_dir)
        ends = [x / "epoch_3.pth" for x in (work_dir, run_folder() / "whole")]
        assert differences(*ends) == []
        return "one damaged: ended bitwise the same"
    return "one damaged: fell back"


def both_damaged(number: int, random: Random, folder: Path) -> str:
    work_dir = _copy(folder)
    for name in (OLD, NEW):
        _damage(work_dir / name, random)
    found = attempt(lambda: start(work_dir), OLD, NEW, error_type=CheckpointError)
    assert isinstance(found, Refused) and found.error.exit_code == EXIT_CODE
    return "both damaged: stopped with the list"


def exchanged(number: int, random: Random, folder: Path) -> str:
    """A whole file under a wrong name is taken for what is in it, or refused."""
    work_dir, stored = _copy(folder), run_folder()
    case = str(random.choice(["names", "best", "seed", "safetensors", "others"]))
    if case == "names":
        (work_dir / OLD).rename(work_dir / "x")
        (work_dir / NEW).rename(work_dir / OLD)
        (work_dir / "x").rename(work_dir / NEW)
        assert start(work_dir) == work_dir / OLD  # the latest by what it says
        assert equal(
            load_checked(work_dir / OLD), load_checked(stored / "stopped" / NEW)
        )
        return "exchanged: taken for what is in it"
    source = {
        "best": stored / "stopped" / "best.pth",
        "seed": stored / "seed" / NEW,
        "safetensors": stored / "ours.safetensors",
        "others": stored / "others.pth",
    }[case]
    shutil.copy(source, work_dir / NEW)
    if case == "safetensors":
        assert start(work_dir) == work_dir / OLD
        assert NEW in (work_dir / "log").read_text()
        return "exchanged: fell back"
    said = "randomness.seed" if case == "seed" else NEW
    found = attempt(lambda: start(work_dir), said, error_type=WorkDirError)
    assert isinstance(found, Refused), f"{case}: {found}"
    return "exchanged: refused"


def damaged_best(number: int, random: Random, folder: Path) -> str:
    work_dir = _copy(folder)
    best = work_dir / "best.pth"
    _damage(best, random)
    assert isinstance(attempt(lambda: load_checked(best, own=True), str(best)), Refused)
    assert isinstance(attempt(lambda: start(work_dir), str(best)), Refused)
    return "best.pth: refused"


def damaged_path(number: int, random: Random, folder: Path) -> str:
    """A checkpoint or safetensors of ours that is given by its path."""
    source = run_folder() / random.choice([f"stopped/{NEW}", "ours.safetensors"])
    path = folder / f"x{source.suffix}"
    path.write_bytes(damaged(source.read_bytes(), random))
    found = attempt(lambda: load_checked(path, own=True), str(path))
    assert isinstance(found, Refused), "loaded"
    found = attempt(lambda: load_checked(path), str(path))
    if isinstance(found, Read):  # both marks of the digest are gone, and nothing else
        assert equal(found.value, load_checked(source))
        return f"path {source.suffix}: whole, digest lost, no run goes on from it"
    return f"path {source.suffix}: refused"


def damaged_others(number: int, random: Random, folder: Path) -> str:
    """An archive without our digest: its own checksums see what matters."""
    source, path = run_folder() / "others.pth", folder / "x.pth"
    path.write_bytes(damaged(source.read_bytes(), random))
    found = attempt(lambda: load_checked(path), str(path))
    if isinstance(found, Refused):
        return "others' archive: refused"
    assert equal(found.value, load_checked(source)), "other values were loaded"
    return "others' archive: the same values"


def _copy(folder: Path) -> Path:
    return Path(shutil.copytree(run_folder() / "stopped", folder / "run"))


def _damage(path: Path, random: Random) -> None:
    data = damaged(path.read_bytes(), random)
    path.unlink()
    path.write_bytes(data)


NANO = dict(arch="nano", img_size=32, num_frames=4)
BACKBONES = [(VideoMamba, ""), (CLIPViT, "visual."), (CLIPTimeSformer, "visual.")]


def changed_content(number: int, random: Random, folder: Path) -> str:
    """A state dict with one wrong entry is refused; wrapped differently, it loads."""
    kind, prefix = BACKBONES[random.integers(len(BACKBONES))]
    module = _filled(kind)
    own = module.state_dict()
    state: dict = {prefix + key: value.clone() for key, value in own.items()}
    key = str(random.choice(list(state)))
    precision = random.choice([torch.float32, torch.float32, torch.half, torch.double])
    state = {name: value.to(precision) for name, value in state.items()}
    what = str(random.choice([*WRONG, *["nothing"] * 4]))
    if what != "nothing":
        state = WRONG[what](state, key, random)
        if state is None:
            return "content: does not apply"
    path = _write(state, folder, random)
    loaded = kind(**NANO)
    named = [key, key.removeprefix(prefix), "names a tensor 7"]
    logging.disable(logging.INFO)  # the reports
    found = attempt(lambda: Pretrained(str(path))(loaded), str(path), named)
    logging.disable(logging.NOTSET)
    if what != "nothing":
        assert isinstance(found, Refused), f"{what} of {key} was loaded"
        return f"content, {what}: refused"
    assert isinstance(found, Read), found.text
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, own[name].to(precision).float()), name
    return "content, the same model: loaded"


@functools.cache
def _filled(kind: type) -> nn.Module:
    module = kind(**NANO)
    generator = torch.Generator().manual_seed(0)
    for value in module.state_dict().values():
        value.copy_(torch.randn(value.shape, generator=generator))
    return module


def _write(state: dict, folder: Path, random: Random) -> Path:
    """As one of the ways in which authors save; safetensors where they can hold it."""
    plain = all(
        isinstance(name, str) and isinstance(value, Tensor) and value.is_cpu
        for name, value in state.items()
    ) and not any(value.is_sparse for value in state.values())
    if plain and random.integers(3) == 0:
        path = folder / "x.safetensors"
        write_atomic(path, tensor_bytes({k: v.clone() for k, v in state.items()}))
        return path
    if plain and random.integers(3) == 0:
        state = {f"module.{name}": value for name, value in state.items()}
    names = [[], ["state_dict"], ["model"], ["model", "state_dict"], ["model_state"]]
    for name in names[random.integers(len(names))]:
        state = {name: state, "epoch": 3, "args": {"lr": 1e-3}}
    path = folder / "x.pth"
    torch.save(state, path)
    return path


Wrong = Callable[[dict, str, Random], dict | None]


def entry(change: Callable[[Tensor], object]) -> Wrong:
    """Put something else in the place of one tensor."""
    return lambda state, key, random: state | {key: change(state[key])}


def _element(number: float) -> Wrong:
    def wrong(state: dict, key: str, random: Random) -> dict | None:
        value = state[key].clone()
        value.view(-1)[random.integers(value.numel())] = number
        return state | {key: value}

    return wrong


def _rows(state: dict, key: str, random: Random) -> dict | None:
    """Another number of rows, in tables of positions one that is no square."""
    value = state[key]
    if "temporal" in key:
        return None  # any number of times is interpolated
    number = [2, 3, 4, 6, 7][random.integers(5)]
    if number == value.shape[-2 if value.dim() > 1 else 0]:
        return None
    axis = -2 if value.dim() > 1 else 0
    index = torch.arange(number) % value.shape[axis]
    return state | {key: value.index_select(axis, index)}


def _transposed(state: dict, key: str, random: Random) -> dict | None:
    value = state[key]
    if value.dim() < 2 or value.shape[0] == value.shape[1]:
        return None
    if "temporal" in key and value.dim() == 2:
        return None
    return state | {key: value.transpose(0, 1).contiguous()}


def _twice(state: dict, key: str, random: Random) -> dict | None:
    if not key.startswith("visual."):
        return state | {f"backbone.{key}": state[key]}
    other = key.removeprefix("visual.")
    if re.search(TEXT_TOWER, other):
        return None  # CLIP's text encoder has that name
    return state | {other: state[key]}


def _missing(state: dict, key: str, random: Random) -> dict:
    return {name: value for name, value in state.items() if name != key}


def _renamed(state: dict, key: str, random: Random) -> dict:
    return _missing(state, key, random) | {key + "_": state[key]}


def _exchanged(state: dict, key: str, random: Random) -> dict | None:
    other = str(random.choice(list(state)))
    tables = ("pos", "temporal")
    if state[key].shape == state[other].shape or any(
        word in name for word in tables for name in (key, other)
    ):
        return None
    return state | {key: state[other], other: state[key]}


WRONG: dict[str, Wrong] = {
    "whole numbers": entry(lambda x: x.long()),
    "bytes": entry(lambda x: x.to(torch.uint8)),
    "bits": entry(lambda x: x > 0),
    "complex": entry(lambda x: torch.complex(x.float(), x.float())),
    "sparse": entry(lambda x: x.float().to_sparse()),
    "meta": entry(lambda x: x.to("meta")),
    "a list": entry(lambda x: [1.0, 2.0]),
    "text": entry(lambda x: "text"),
    "none": entry(lambda x: None),
    "a dict": entry(lambda x: {"weight": x}),
    "empty": entry(lambda x: x[:0]),
    "one more axis": entry(lambda x: x[None]),
    "in a row": entry(lambda x: x.reshape(-1) if x.dim() > 1 else x[:, None]),
    "NaN": _element(torch.nan),
    "infinity": _element(-torch.inf),
    "rows": _rows,
    "transposed": _transposed,
    "twice": _twice,
    "missing": _missing,
    "renamed": _renamed,
    "exchanged": _exchanged,
    "a number as its name": lambda state, key, random: state | {7: state[key]},
    "one more": lambda state, key, random: state | {"strange." + key: state[key]},
}
KINDS = [one_damaged, one_damaged, both_damaged, exchanged, damaged_best]
KINDS += [damaged_path, damaged_path, damaged_others, changed_content, changed_content]


def trial(number: int, random: Random, folder: Path) -> str:
    assert zipfile.is_zipfile(run_folder() / "others.pth")
    return KINDS[number % len(KINDS)](number, random, folder)


if __name__ == "__main__":
    main(trial, __doc__, 2000)
