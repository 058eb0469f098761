"""Errors that a tool explains, and those whose traceback a user must see."""

import argparse

import pytest
import torch
from mmengine.config import Config

from mmfusion.datasets import MultiModalDataset
from mmfusion.engine.launch.start import add_run_arguments, only_test, run_job
from mmfusion.engine.runner.checkpoints import save_atomic
from mmfusion.engine.runner.work_dir import config_text
from mmfusion.registry import DATASETS, MODELS, OPTIMIZERS
from mmfusion.utils.errors import InputError, NonFiniteError, SkeletonError


@pytest.fixture
def args(tmp_path):
    """Command line of a tool whose config is empty but for the folder."""
    config = tmp_path / "config.py"
    config.write_text(f"work_dir = {str(tmp_path)!r}\n")
    parser = argparse.ArgumentParser()
    parser.set_defaults(config=str(config), work_dir=None)
    add_run_arguments(parser)
    return parser.parse_args([])


def test_a_test_takes_the_order_of_streams_from_the_checkpoint(tmp_path):
    """Not that of a config in which MMEngine sorted the keys."""
    card = dict(model=dict(neck=dict(streams=dict(video=dict(), skeleton=dict(mlp=1)))))
    save_atomic({"meta": {"card": card}, "state_dict": {}}, tmp_path / "a.pth")
    streams = dict(skeleton=dict(mlp=1), video=dict())
    config = Config(dict(model=dict(neck=dict(streams=streams, more=[]))))
    only_test(config, str(tmp_path / "a.pth"))
    assert [*config.model.neck.streams] == ["video", "skeleton"]
    assert config.model.neck == dict(streams=streams, more=[])


def test_a_config_is_written_in_its_own_order(tmp_path):
    made = Config(dict(b=dict(video=(1, None), hands={"a.b": [0.5]}), a="text"))
    (tmp_path / "a.py").write_text(config_text(made))
    read = Config.fromfile(tmp_path / "a.py")
    assert [*read.b] == ["video", "hands"] and read.to_dict() == made.to_dict()


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError("x"), 2), (SkeletonError("x"), 1), (NonFiniteError("x"), 1)],
)
def test_ours_are_one_message_with_an_exit_code(error, code, args, capsys):
    def job(config):
        raise error

    assert run_job(args, job) == code
    assert "x\n(--debug shows where)" in capsys.readouterr().err


@DATASETS.register_module()
class UsersDataset(MultiModalDataset):
    """A class that hands on whatever it is given."""

    def __init__(self, slip=False, **options):
        if slip:
            dict.fromkeys(5, **options)
        super().__init__(**options)


@pytest.fixture
def data(tmp_path, args):
    """A part of a config, of a class whose arguments its check cannot know."""
    part = dict(type="UsersDataset", ann_file=str(tmp_path / "a.json"), pipeline=[])
    with open(args.config, "a") as file:
        file.write(f"train_dataloader = dict(dataset={part}, sampler=None)\n")
    return part


def build_dataset(config):
    DATASETS.build(config.train_dataloader.dataset)


def test_a_key_that_a_class_of_the_users_hands_on_is_one_message(args, data, capsys):
    options = {"train_dataloader.dataset.tset_mode": True}
    args.cfg_options = options
    assert run_job(args, build_dataset) == 2
    assert capsys.readouterr().err.splitlines()[0] == (
        "error: config key train_dataloader.dataset.tset_mode: MultiModalDataset has"
        " no argument 'tset_mode'; nearest: test_mode, outside"
    )
    args.cfg_options = {**options, "train_dataloader.dataset.slip": True}
    with pytest.raises(TypeError, match="fromkeys"):  # the user's own line
        run_job(args, build_dataset)


@pytest.mark.parametrize("folder", ["mmfusion", "other"])
def test_another_error_is_raised_whatever_the_folder_is_called(folder, args):
    """A clone in a folder named mmfusion has torch's own files under that name."""
    source = f"/home/me/{folder}/venv/lib/torch/functional.py"
    code = compile("raise ValueError('of torch')", source, "exec")
    with pytest.raises(ValueError, match="of torch"):
        run_job(args, lambda config: exec(code))


@pytest.mark.parametrize(
    "statement",
    ["torch.nn.LSTM(4, -1)", "first, second, third = torch.zeros(2)"],
    ids=["refused by torch", "a slip"],
)
def test_an_error_in_a_class_of_the_users_keeps_its_traceback(statement, args):
    @MODELS.register_module(name="UsersNeck", force=True)
    class UsersNeck(torch.nn.Module):
        def __init__(self):
            super().__init__()
            exec(statement)

    with pytest.raises(ValueError, match="hidden_size|not enough values"):
        run_job(args, lambda config: MODELS.build(dict(type="UsersNeck")))


def test_a_refusal_by_torch_of_a_part_of_the_config_is_one_message(args, capsys):
    def job(config):
        OPTIMIZERS.build(dict(type="SGD", params=[torch.zeros(1)], lr=-1.0))

    assert run_job(args, job) == 2
    assert "Invalid learning rate: -1.0" in capsys.readouterr().err


def test_an_error_of_mmengine_that_builds_nothing_keeps_its_traceback(args):
    with pytest.raises(TypeError, match="cfg_dict must be a dict"):
        run_job(args, lambda config: Config(5))


@pytest.mark.parametrize("value", ["a=dict(b=1,c=2)", "a", "a=[1,2"])
def test_an_option_that_cannot_be_read_is_one_message(value, capsys):
    parser = argparse.ArgumentParser()
    add_run_arguments(parser)
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--cfg-options", value])
    said = capsys.readouterr().err
    assert f"--cfg-options {value}: expected KEY=VALUE" in said
