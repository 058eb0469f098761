"""Files of linear models, made from a small set of skeletons."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from mmfusion.analysis.baselines.clips import ClipReader
from mmfusion.analysis.baselines.files import linear_file
from mmfusion.analysis.experiments import read_config
from mmfusion.datasets.annotation import load_annotation
from mmfusion.evaluation.answers import answers
from mmfusion.utils.errors import InputError
from tests.analysis.made_runs import made_predictions
from tests.configs.custom_files import CLASSES, write_custom

pytest.importorskip("sklearn", reason="it fits the regression")
CONFIG = Path(__file__).parents[3] / "configs/custom/skeleton_mamba.py"


def setting(root, **more):
    """Config on these clips, and the predictions of a model that was tested on them."""
    write_custom(root)
    options = {"train_dataloader.dataset.data_root": str(root), **more}
    _, records = load_annotation(str(root / "annotation.json"), "test")
    labels = [record["label"]["action"] for record in records]
    ids = [record["id"] for record in records]
    beside = made_predictions(ids[::-1], labels[::-1], [0] * len(ids), [*CLASSES])
    return read_config(CONFIG, options), beside


def test_a_linear_model_reads_paths_and_its_file_serves_again(tmp_path):
    config, beside = setting(tmp_path / "data")
    path = tmp_path / "linear.json"
    found = linear_file(path, config, "skeleton", beside, ClipReader())
    assert answers(found).correct.all() and found.ids == beside.ids
    says = found.metainfo["baseline"]
    assert (says["kind"], says["stream"]) == ("linear", "skeleton")
    assert says["strength"]["action"] > 0 and "report" in found.metainfo
    made = path.stat().st_mtime_ns
    again = linear_file(path, config, "skeleton", beside, ClipReader())
    assert path.stat().st_mtime_ns == made
    np.testing.assert_array_equal(again.score["action"], found.score["action"])
    shutil.rmtree(tmp_path / "data")  # a table can be printed without its data
    linear_file(path, config, "skeleton", beside, ClipReader())


def test_clips_that_are_tested_choose_nothing(tmp_path):
    config, _ = setting(tmp_path, **{"val_dataloader.dataset.split": "test"})
    clips = ClipReader().splits(config, "skeleton")
    assert [*clips] == ["train", "test"] and len(clips["train"].ids) == 12


def test_what_cannot_be_read_is_said(tmp_path):
    config, beside = setting(tmp_path)
    with pytest.raises(InputError, match="stream 'depth'"):
        linear_file(tmp_path / "x.json", config, "depth", beside, ClipReader())
    config.test_dataloader.dataset.split = "train"
    with pytest.raises(InputError, match="clips of the test are trained on"):
        ClipReader().splits(config, "skeleton")
