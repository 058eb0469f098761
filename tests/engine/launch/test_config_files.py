"""A variable that is set for nothing is refused; a key left behind is named."""

import json
from pathlib import Path

import pytest

from mmfusion.engine.launch.config_check import load_config
from mmfusion.utils.errors import ConfigError

BASE = """
custom_imports = dict(imports=["tests.engine.toy"])
width = 8
val_pipeline = [dict(type="PackInputs", streams=["video"])]
model = dict(type="ToyModel", num_classes=width)
val_dataloader = dict(
    batch_size=width,
    dataset=dict(type="ToyDataset", size=3),
    sampler=dict(type="SeededSampler"),
)
val_evaluator = dict(type="ToyAccuracy")
"""
END = """
test_dataloader = val_dataloader
test_evaluator = val_evaluator
"""
READ = (
    "from mmengine.config import read_base\nwith read_base():\n    from .base import *"
)


@pytest.fixture(params=["text", "python"])
def child(request, tmp_path):
    """Load a config that inherits BASE, in both styles of MMEngine."""
    head = READ if request.param == "python" else "_base_ = './base.py'"

    def load(text, options=None, base=BASE):
        used = "loader = val_pipeline\nload_from = loader and None\n"
        (tmp_path / "base.py").write_text(
            ("from mmengine.config import read_base\n" if head is READ else "")
            + base
            + used
            + END
        )
        (tmp_path / "child.py").write_text(f"{head}\n{text}\n")
        return load_config(tmp_path / "child.py", options)

    return load


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("val_pipeline = []", "set val_dataloader.dataset.pipeline = val_pipeline"),
        ("width = 3", "what was made of its old value stays as it was"),
        ("train_dataloder = dict()", "unknown key 'train_dataloder'; nearest: train_"),
        ("parm_scheduler = []", "unknown key 'parm_scheduler'; nearest: param_sched"),
        ("_mine = 3", "unknown key '_mine'"),
    ],
)
def test_what_is_set_for_nothing_is_refused_with_its_line(child, text, said):
    child("")
    with pytest.raises(ConfigError) as error:
        child(text)
    assert said in str(error.value) and "child.py:" in str(error.value)


def test_a_variable_that_is_read_may_have_any_name(child):
    config = child("many = 5\nmodel = dict(type='ToyModel', num_classes=many)")
    assert config.model.num_classes == 5


def test_a_part_that_is_changed_in_place_is_read(child, request):
    if "text" in request.node.name:
        pytest.skip("MMEngine gives such a file none of the base's variables")
    config = child("_data = val_dataloader.dataset\n_data.update(size=9)")
    assert config.val_dataloader.dataset.size == 9


@pytest.mark.parametrize(
    ("text", "options", "kept"),
    [
        ("val_dataloader = dict(dataset=dict(size=9))", None, "dataset.size"),
        ("", {"val_dataloader.dataset.size": 9}, "dataset.size"),
        ("", {"val_evaluator.type": "mmfusion.AccuracyMetric"}, "type"),
        ("val_dataloader = dict(batch_size=9)", None, None),
        ("test_dataloader = dict(dataset=dict(size=9))", None, None),
        ("val_dataloader = None\nval_cfg = None\nval_evaluator = None", None, None),
    ],
)
def test_what_was_equal_and_is_left_behind_is_named(
    child, text, options, kept, log_lines, request
):
    if "python" in request.node.name:  # merges by update
        text = text.replace(" = dict(", ".update(")
    child(text, options)
    said = [line for line in log_lines if "keeps its old" in line]
    assert len(said) == (kept is not None)
    if kept:
        assert said[0].startswith(("--cfg-options", "/")) and kept in said[0]


@pytest.mark.parametrize("style", ["text", "python"])
def test_bases_in_a_circle_are_named(style, tmp_path):
    for name, base in (("a", "b"), ("b", "c"), ("c", "b")):
        text = f"_base_ = './{base}.py'"
        if style == "python":
            text = READ.replace("base import", f"{base} import")
        (tmp_path / f"{name}.py").write_text(text + "\n")
    with pytest.raises(ConfigError, match="inherits itself: .*b.py -> .*c.py -> .*b"):
        load_config(tmp_path / "a.py")


def test_keys_of_json_that_nothing_reads_are_refused(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"modle": {}}))
    with pytest.raises(ConfigError, match="unknown key 'modle'; nearest: model"):
        load_config(path)


def test_no_config_of_ours_is_refused_or_warned_of(log_lines):
    configs = Path(__file__).parents[3] / "configs"
    for path in configs.rglob("*_nano_*.py"):
        load_config(path)
    assert [line for line in log_lines if "keeps its" in line] == []
