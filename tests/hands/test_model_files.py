"""The two files out of a wheel: each is checked, each error says what to do."""

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from mmfusion.hands import model_files
from mmfusion.hands.model_files import HandModelError, ModelFile, load_models

CONTENT = {"p/palm.tflite": b"palm", "h/hand.tflite": b"hand"}


@pytest.fixture(autouse=True)
def _small_models(monkeypatch, tmp_path):
    found = tuple(
        ModelFile(member, hashlib.sha256(content).hexdigest())
        for member, content in CONTENT.items()
    )
    monkeypatch.setattr(model_files, "MODELS", found)
    monkeypatch.setattr(
        model_files, "cache_folder", lambda: tmp_path / "cache" / "hands"
    )


def write_wheel(path: Path, changes: dict[str, bytes | None] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in {**CONTENT, **(changes or {})}.items():
            if content is not None:
                archive.writestr(member, content)
    return path


def write_folder(folder: Path, hand: bytes = b"hand") -> Path:
    folder.mkdir(parents=True)
    (folder / "palm.tflite").write_bytes(b"palm")
    (folder / "hand.tflite").write_bytes(hand)
    return folder


def forbid_pip(*args, **kwargs):
    raise AssertionError("pip was run")


def test_wheel_folder_and_cache_give_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", forbid_pip)
    assert load_models(write_wheel(tmp_path / "x.whl")) == (b"palm", b"hand")
    assert load_models(write_folder(tmp_path / "f")) == (b"palm", b"hand")
    write_folder(tmp_path / "cache" / "hands")
    assert load_models() == (b"palm", b"hand")


def test_first_use_fetches_the_wheel_once(tmp_path, monkeypatch):
    def pip(command, **settings):
        write_wheel(Path(command[command.index("--dest") + 1], model_files.WHEEL))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", pip)
    assert load_models() == (b"palm", b"hand")
    monkeypatch.setattr(subprocess, "run", forbid_pip)
    assert load_models() == (b"palm", b"hand")
    names = sorted(path.name for path in (tmp_path / "cache" / "hands").iterdir())
    assert names == ["hand.tflite", "palm.tflite"]


def test_without_a_network_it_says_what_to_fetch_and_where_to_put_it(
    tmp_path, monkeypatch
):
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: no such host\n")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(HandModelError) as found:
        load_models()
    for part in ("no such host", "pip download", model_files.WHEEL, str(tmp_path)):
        assert part in str(found.value)
    assert "\n" not in str(found.value)


def test_a_changed_byte_is_refused(tmp_path):
    wheel = write_wheel(tmp_path / "x.whl", {"h/hand.tflite": b"hund"})
    with pytest.raises(HandModelError, match="hand.tflite has sha256"):
        load_models(wheel)
    with pytest.raises(HandModelError, match="hand.tflite has sha256"):
        load_models(write_folder(tmp_path / "f", b"hund"))
    write_folder(tmp_path / "cache" / "hands", b"hund")
    with pytest.raises(HandModelError, match="delete it"):
        load_models()


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.txt").write_text("no wheel")
    with pytest.raises(HandModelError, match="is not the wheel"):
        load_models(tmp_path / "x.txt")
    wheel = write_wheel(tmp_path / "x.whl", {"h/hand.tflite": None})
    with pytest.raises(HandModelError, match="is not the wheel"):
        load_models(wheel)
    with pytest.raises(HandModelError, match="is not there"):
        load_models(tmp_path / "none")
    with pytest.raises(HandModelError, match="palm.tflite is not there"):
        load_models(tmp_path)
