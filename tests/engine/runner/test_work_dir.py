"""The work folder decides: new run, continued run, complete run, or refusal."""

import multiprocessing
import os
import time

import pytest

from mmfusion.engine.runner.work_dir import WorkDirLock, resumable_checkpoints
from mmfusion.utils.errors import CheckpointError, WorkDirError
from mmfusion.weights.files import load_checked
from tests.engine.toy_runs import differences, run_toy, with_signal

FORK = multiprocessing.get_context("fork")


def test_another_config_is_refused_with_the_difference(tmp_path):
    with_signal(tmp_path, "iter", 8)
    with pytest.raises(WorkDirError, match=r"train_cfg.max_epochs: was 3, is 4"):
        run_toy(tmp_path, {"train_cfg.max_epochs": 4})
    with pytest.raises(WorkDirError, match=r"randomness.seed: was 3, is 5"):
        run_toy(tmp_path, {"randomness.seed": 5})
    assert run_toy(tmp_path, {"train_cfg.max_epochs": 4}, resume="auto").epoch == 4


def test_what_does_not_change_the_result_may_change(tmp_path):
    with_signal(tmp_path, "iter", 8)
    options = {"log_level": "ERROR", "val_dataloader.num_workers": 1}
    assert run_toy(tmp_path, options).epoch == 3


def test_damaged_newest_is_passed_over(tmp_path):
    run_toy(tmp_path / "whole")
    folder = tmp_path / "damaged"
    run_toy(folder)
    (folder / "finished.json").unlink()
    newest = folder / "epoch_3.pth"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    newest.write_bytes(content)
    run_toy(folder)
    assert differences(tmp_path / "whole" / "epoch_3.pth", newest) == []


def test_all_damaged_is_an_error_not_a_new_start(tmp_path):
    with_signal(tmp_path, "iter", 3)
    (tmp_path / "iter_3.pth").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match=r"no checkpoint of .*\n.*iter_3.pth"):
        run_toy(tmp_path)


def test_weights_alone_cannot_be_resumed(tmp_path):
    run_toy(tmp_path)
    with pytest.raises(CheckpointError, match=r"best.pth holds weights only"):
        run_toy(tmp_path / "new", resume=str(tmp_path / "best.pth"))
    fresh = run_toy(tmp_path / "from", {"load_from": str(tmp_path / "best.pth")})
    assert fresh.epoch == 3


def test_resume_from_a_path_and_newest_by_written_time(tmp_path):
    keep = {"default_hooks.checkpoint.max_keep_ckpts": -1}
    run_toy(tmp_path, keep)
    run_toy(tmp_path / "two", keep, resume=str(tmp_path / "epoch_2.pth"))
    ends = [folder / "epoch_3.pth" for folder in (tmp_path, tmp_path / "two")]
    assert differences(*ends) == []
    os.utime(tmp_path / "epoch_1.pth", (time.time() + 9, time.time() + 9))
    found, broken = resumable_checkpoints(tmp_path)
    names = [path.name for path, _ in found]
    assert names == ["epoch_3.pth", "epoch_2.pth", "epoch_1.pth"] and broken == []


def test_wrong_model_gets_a_diff(tmp_path):
    run_toy(tmp_path)
    options = {
        "model.num_classes": 4,
        "train_dataloader.dataset.num_classes": 4,
        "val_dataloader.dataset.num_classes": 4,
        "load_from": str(tmp_path / "best.pth"),
    }
    with pytest.raises(CheckpointError) as error:
        run_toy(tmp_path / "new", options)
    assert "heads.action.weight: file (3, 8), model (4, 8)" in str(error.value)


def test_second_process_is_refused_and_a_dead_one_is_not(tmp_path):
    def hold(folder, pipe):
        WorkDirLock(folder)
        pipe.send(True)
        time.sleep(60)

    ours, theirs = FORK.Pipe()
    child = FORK.Process(target=hold, args=(tmp_path, theirs), daemon=True)
    child.start()
    assert ours.poll(20)
    with pytest.raises(WorkDirError, match=f"process {child.pid} is using"):
        WorkDirLock(tmp_path)
    child.kill()
    child.join()
    os.close(WorkDirLock(tmp_path)._fd)


def test_checkpoint_says_where_it_comes_from(tmp_path):
    run_toy(tmp_path)
    meta = load_checked(tmp_path / "epoch_3.pth")["meta"]
    assert (meta["epoch"], meta["iter"], meta["batch"], meta["seed"]) == (3, 18, 0, 3)
    assert '"model.type": "ToyModel"' in meta["settings"]
