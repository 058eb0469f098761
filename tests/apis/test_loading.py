"""Models by where they lie: a run, a checkpoint with its card, a config with one."""

import pytest
import torch

from mmfusion.apis import load_model, loading
from mmfusion.apis.loading import weights_of
from mmfusion.apis.model_folder import write_model_folder
from mmfusion.utils.errors import CheckpointError, ConfigError
from tests.apis.small import CLASSES, PIPELINE, SKELETON, batch, card, write_checkpoint
from tests.engine.toy_runs import run_toy
from tests.tools.command import main_of


def test_a_checkpoint_is_enough(tmp_path):
    model = write_checkpoint(tmp_path / "best.pth")
    loaded = load_model(tmp_path / "best.pth")
    assert loaded.classes == CLASSES and loaded.pipeline == PIPELINE
    assert loaded.streams == ("video", "skeleton")
    assert loaded.card["skeleton"] == SKELETON
    assert not loaded.model.training
    torch.testing.assert_close(loaded.model(batch()), model(batch()), rtol=0, atol=0)


def test_of_a_run_the_best_is_taken_else_the_newest(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(loading, "print_log", lambda text, logger: told.append(text))
    run_toy(tmp_path)
    assert load_model(tmp_path).path == str(tmp_path / "best.pth")
    (tmp_path / "best.pth").unlink()
    (tmp_path / "epoch_3.pth").write_bytes(b"cut off")
    assert load_model(tmp_path).path == str(tmp_path / "epoch_2.pth")
    assert any("has no best.pth: epoch_2.pth is taken" in line for line in told)


def test_a_config_with_a_checkpoint_needs_no_card(tmp_path):
    model = write_checkpoint(tmp_path / "old.pth", card=None)
    config = tmp_path / "config.py"
    config.write_text(f"model = {card()['model']}\ndefault_scope = 'mmfusion'\n")
    loaded = load_model(config, tmp_path / "old.pth")
    assert loaded.classes == {"action": ["0", "1", "2"]}
    torch.testing.assert_close(loaded.model(batch()), model(batch()), rtol=0, atol=0)


def test_an_old_checkpoint_says_what_to_give_with_it(tmp_path):
    write_checkpoint(tmp_path / "old.pth", card=None)
    with pytest.raises(CheckpointError, match=r"no card.*load_model\(CONFIG, CHECK"):
        load_model(tmp_path / "old.pth")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(format=9), "its card has format 9, this version of mmfusion reads 1"),
        (dict(classes=["cut"]), "classes is .*; expected"),
        (dict(classes={"action": ["cut"]}), "names 1 classes of 'action'.*scores 3"),
        (dict(classes={"action": ["a", "b", "a"]}), "names 'a' twice as a class"),
        (dict(classes={"verb": ["a"]}), r"classes of 'verb', .*tasks \['action'\]"),
        (dict(streams=[]), r"streams are \[\], its model reads \['video', 'skel"),
        (dict(surprise=1), "unknown key 'surprise'"),
        (dict(metrics={"top1": 3}), "metrics is "),
        (dict(model={"type": "os.system"}), "model.type is 'os.system'.*registry"),
        (dict(model={"depth": 3}), "expected a dict with its type"),
        (dict(pipeline=[{"type": "subprocess.run"}]), "pipeline.0.type is 'subproc"),
        (dict(pipeline=[{"scale": 2}]), "expected a list of transforms"),
    ],
)
def test_a_wrong_card_is_one_line(tmp_path, changes, message):
    write_checkpoint(tmp_path / "a.pth", card=card(**changes))
    with pytest.raises((CheckpointError, ConfigError), match=message) as caught:
        load_model(tmp_path / "a.pth")
    assert "\n" not in str(caught.value) and "a.pth" in str(caught.value)


def test_the_weights_of_a_folder_are_found(tmp_path):
    write_checkpoint(tmp_path / "best.pth")
    assert weights_of(tmp_path) == tmp_path / "best.pth"
    write_model_folder(load_model(tmp_path), tmp_path / "out")
    assert weights_of(tmp_path / "out") == tmp_path / "out" / "model.safetensors"
    (tmp_path / "out" / "manifest.json").unlink()
    for look in (load_model, weights_of):
        with pytest.raises(CheckpointError, match=r"out has no manifest\.json"):
            look(tmp_path / "out")


def test_the_test_tool_takes_a_folder_for_its_weights(tmp_path):
    write_checkpoint(tmp_path / "best.pth")
    checkpoint_of = main_of("test").__globals__["checkpoint_of"]
    assert checkpoint_of(str(tmp_path)) == str(tmp_path / "best.pth")
    assert checkpoint_of("hf://a/b/c.pth") == "hf://a/b/c.pth"


def test_wrong_sources_are_one_line(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        load_model(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="has no checkpoint"):
        load_model(tmp_path)
    (tmp_path / "config.py").touch()
    with pytest.raises(CheckpointError, match="needs its checkpoint"):
        load_model(tmp_path / "config.py")
    with pytest.raises(CheckpointError, match=r"expected a config file"):
        load_model(tmp_path, "best.pth")
