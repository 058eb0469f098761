"""A stream that training had and a test lacks is named, with the count."""

import pytest
import torch

from mmfusion.datasets import SampleKey
from mmfusion.engine import FusionRunner
from mmfusion.registry import DATASETS
from mmfusion.weights.files import load_checked
from tests.engine.toy import ToyDataset
from tests.engine.toy_runs import toy_config


@DATASETS.register_module()
class TwoStreams(ToyDataset):
    """The toy data with hands, absent in the first ``absent`` clips."""

    def __init__(self, size=22, absent=0):
        super().__init__(size)
        self.absent = absent

    def __getitem__(self, key):
        sample = super().__getitem__(key)
        index = key.index if isinstance(key, SampleKey) else key
        inputs = sample["inputs"]
        inputs["hands"] = torch.zeros(1, 4, 2)
        inputs["hands_mask"] = torch.full((1, 4), index >= self.absent)
        return sample


def config_for(folder, train, val):
    config = toy_config(folder, {"train_cfg.max_epochs": 2})
    for name, size, absent in (("train", 22, train), ("val", 11, val)):
        data = dict(type="TwoStreams", size=size, absent=absent)
        config[f"{name}_dataloader"].dataset = data
    config.test_dataloader = config.val_dataloader
    return config


def warnings_of(runner, run, caplog):
    caplog.clear()
    runner.logger.addHandler(caplog.handler)
    run()
    return [line for line in caplog.messages if "the stream" in line]


@pytest.mark.parametrize(
    ("train", "val", "said"),
    [
        (0, 11, "absent in all 11 clips (in 0 of 22 clips of training); a fused"),
        (2, 4, "absent in 4 of 11 clips (in 2 of 22 clips of training)"),
        (4, 3, None),
        (0, 0, None),
    ],
)
def test_validation_names_what_training_had(train, val, said, tmp_path, caplog):
    runner = FusionRunner.from_cfg(config_for(tmp_path, train, val))
    lines = warnings_of(runner, runner.train, caplog)
    counts = f"the stream 'hands' is absent in {train} of 22 clips of this epoch"
    told = [line for line in lines if line == f"training: {counts}"]
    assert len(told) == (train > 0)  # once, as each of the others
    lines = [line for line in lines if line not in told]
    assert len(lines) == (said is not None)
    if said:
        assert lines[0].startswith("validation: the stream 'hands' is " + said)
    meta = load_checked(tmp_path / "best.pth")["meta"]
    assert meta["streams"] == {"video": [0, 22], "hands": [train, 22]}


@pytest.mark.parametrize("known", [True, False])
def test_a_test_knows_by_the_checkpoint_what_training_had(known, tmp_path, caplog):
    FusionRunner.from_cfg(config_for(tmp_path / "a", 0, 0)).train()
    config = config_for(tmp_path / "b", 0, 11)
    config.load_from = str(tmp_path / "a" / "best.pth")
    if not known:
        weights = load_checked(config.load_from)["state_dict"]
        config.load_from = str(tmp_path / "theirs.pth")
        torch.save({"state_dict": weights}, config.load_from)
    runner = FusionRunner.from_cfg(config)
    (line,) = warnings_of(runner, runner.test, caplog)
    assert "test: the stream 'hands' is absent in all 11 clips" in line
    assert ("in 0 of 22 clips" if known else "does not say") in line
    assert "worse than one of video alone" in line


def test_a_stream_that_no_clip_of_training_has_is_named(tmp_path, caplog):
    runner = FusionRunner.from_cfg(config_for(tmp_path, 22, 11))
    lines = warnings_of(runner, runner.train, caplog)
    assert lines == [
        "training: the stream 'hands' is absent in all 22 clips: nothing is learnt"
        " from it"
    ]
