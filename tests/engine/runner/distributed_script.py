"""Script of the two processes of ``test_distributed.py``: python ... FOLDER."""

import sys
from pathlib import Path

import torch
from mmengine.dist import all_gather, barrier, get_rank

from mmfusion.engine import FusionRunner, PredictionDumpHook
from mmfusion.engine.launch.start import prepare_work_dir
from mmfusion.evaluation.predictions import load_predictions
from mmfusion.weights.files import load_checked
from tests.engine.toy_runs import differences, toy_config

TWO = {
    "train_dataloader.batch_size": 2,
    "train_dataloader.dataset.size": 24,  # no batch of one, which has no batch norm
    "val_dataloader.batch_size": 2,
}


def run(folder, options=None, signal_at=None):
    """One run over both ranks; the second rank gets the signal."""
    config = toy_config(folder, {**TWO, **(options or {})})
    config.launcher = "pytorch"
    prepare_work_dir(config, None)
    runner = FusionRunner.from_cfg(config)
    if signal_at:
        stage, at = signal_at
        runner.register_hook(dict(type="SignalAt", stage=stage, at=at, rank=1))
    runner.train()
    barrier()
    return runner


def check_equal_weights(runner):
    for name, value in runner.bare_model.state_dict().items():
        first, second = all_gather(value.detach())
        assert torch.equal(first, second), name


def check_predictions(runner, path):
    """Of 11 samples over two ranks, each is there once and in order."""
    runner.register_hook(PredictionDumpHook(str(path)))
    metrics = runner.test()
    if get_rank() == 0:
        found = load_predictions(path)
        assert found.ids == [f"toy-{index}" for index in range(11)]
        right = found.score["action"].argmax(1) == found.labels("action")
        assert metrics["action/top1"] == 100 * right.sum() / 11
        assert found.metainfo["metrics"]["action/top1"] == metrics["action/top1"]


def main():
    folder = Path(sys.argv[1])
    whole = run(folder / "whole")
    check_equal_weights(whole)
    check_predictions(whole, folder / "predictions.npz")
    for name, place in (("mid", ("iter", 8)), ("val", ("val", 1))):
        stopped = run(folder / name, signal_at=place)
        assert stopped.train_loop.was_stopped
        check_equal_weights(run(folder / name))
        ends = [folder / part / "epoch_3.pth" for part in ("whole", name)]
        assert differences(*ends) == [], name
    assert len(load_checked(folder / "whole" / "epoch_3.pth")["rng"]) == 2
    accumulate = {"optim_wrapper.accumulative_counts": 4}
    check_equal_weights(run(folder / "accumulate", accumulate))
    if get_rank() == 0:
        (folder / "passed").touch()
    # a NaN that one rank sees: it raises, and nobody waits for ever
    run(folder / "failing", {"train_dataloader.dataset.bad_index": 3})


if __name__ == "__main__":
    main()
