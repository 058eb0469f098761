"""MediaPipe's two model files: from a cache, a wheel, a folder, or PyPI.

The newest mediapipe packages ship no models; 0.10.21 does, and pins an old NumPy, so
its wheel is fetched and opened, never installed. The models are under Apache-2.0.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch

from mmfusion.utils.errors import InputError, MMFusionError
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.text_files import read_bytes

WHEEL = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
WHEEL_SHA256 = "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3"
_MAX_BYTES = 32 * 2**20  # of a model file
_TIMEOUT = 600.0  # seconds for a wheel of 36 MB


class HandModelError(MMFusionError, RuntimeError):
    """A hand model's file is not there, or is another file; says where to get it."""


@dataclass(frozen=True)
class ModelFile:
    """A file inside the wheel.

    Attributes:
        member: its place in the wheel. sha256: of the file.
    """

    member: str
    sha256: str

    @property
    def name(self) -> str:
        """Its name without folders."""
        return self.member.rpartition("/")[2]


PALM = ModelFile(
    "mediapipe/modules/palm_detection/palm_detection_full.tflite",
    "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
)
HAND = ModelFile(
    "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
    "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
)
MODELS = (PALM, HAND)


def cache_folder() -> Path:
    """Folder of the model files, beside the other weights that torch.hub keeps."""
    return Path(torch.hub.get_dir(), "checkpoints", "mediapipe-hands")


def load_models(source: str | Path | None = None) -> tuple[bytes, bytes]:
    """The palm detector and the hand model, checked.

    Args:
        source: the wheel, or a folder with the two ``.tflite`` files; None takes them
            from :func:`cache_folder`, and fetches them once where they are not there.

    Raises:
        HandModelError: they cannot be fetched, or are other files; says what to do.
    """
    if source is None:
        return _cached()
    path = Path(source)
    if path.is_dir():
        palm, hand = (_read(path / model.name, model) for model in MODELS)
    elif path.is_file():
        palm, hand = _members(path)
    else:
        raise HandModelError(f"{path} is not there; expected {_EXPECTED}")
    return palm, hand


_EXPECTED = f"the wheel {WHEEL} or a folder with {PALM.name} and {HAND.name}"


def _cached() -> tuple[bytes, bytes]:
    folder = cache_folder()
    if not all((folder / model.name).is_file() for model in MODELS):
        with tempfile.TemporaryDirectory() as temporary:
            found = _members(_fetch(Path(temporary)))
        for model, content in zip(MODELS, found, strict=True):
            write_atomic(folder / model.name, content)
    palm, hand = (_read(folder / model.name, model) for model in MODELS)
    return palm, hand


def _read(path: Path, model: ModelFile) -> bytes:
    if not path.is_file():
        raise HandModelError(f"{path} is not there; expected {_EXPECTED}")
    content = read_bytes(str(path), max_bytes=_MAX_BYTES, error_type=InputError)
    return _checked(content, model.sha256, str(path))


def _checked(content: bytes, sha256: str, told: str) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise HandModelError(
            f"{told} has sha256 {found}, expected {sha256}: it is another file, or"
            " damaged; delete it and fetch it again"
        )
    return content


def _members(wheel: Path) -> tuple[bytes, bytes]:
    """The model files of a wheel, each checked by itself."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            palm, hand = (
                _checked(
                    _read_member(archive, model), model.sha256, f"{wheel}:{model.name}"
                )
                for model in MODELS
            )
    except (zipfile.BadZipFile, KeyError, OSError, EOFError) as error:
        raise HandModelError(
            f"{wheel} is not the wheel ({error}); expected {_EXPECTED}"
        ) from error
    return palm, hand


def _read_member(archive: zipfile.ZipFile, model: ModelFile) -> bytes:
    with archive.open(model.member) as stream:
        return stream.read(_MAX_BYTES)


def _fetch(folder: Path) -> Path:
    """Fetch the wheel into ``folder`` by pip, which knows the user's mirror.

    pip refuses another file of that name, by its sha256.
    """
    wanted = folder / "wanted.txt"
    wanted.write_text(f"mediapipe==0.10.21 --hash=sha256:{WHEEL_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "-r", str(wanted)]
    command += ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
    command += ["--python-version", "3.11", "--implementation", "cp"]
    command += ["--platform", "manylinux_2_28_x86_64"]
    command += ["--dest", str(folder), "--quiet", "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
        reason = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    except subprocess.TimeoutExpired:
        reason = f"no answer in {_TIMEOUT:g} s"
    wheel = folder / WHEEL
    if wheel.is_file():
        return wheel
    raise HandModelError(
        f"the hand models cannot be fetched ({reason:.200}). Where there is a network,"
        f" run: pip download --no-deps --only-binary :all: --python-version 3.11"
        f" --platform manylinux_2_28_x86_64 mediapipe==0.10.21; then give the file"
        f" {WHEEL} (--models, models=), or put {PALM.name} and {HAND.name} of it into"
        f" {cache_folder()}"
    )
