"""The work folder decides: new run, continued run, complete run, or refusal."""

import multiprocessing
import os
import shutil
import time
import zipfile

import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmfusion.engine import FusionRunner
from mmfusion.engine.launch.start import prepare_work_dir
from mmfusion.engine.runner.checkpoints import save_atomic
from mmfusion.engine.runner.work_dir import WorkDirLock, find_checkpoints
from mmfusion.utils.errors import CheckpointError, WorkDirError
from mmfusion.weights.files import load_checked
from tests.engine.toy_runs import differences, run_toy, toy_config, with_signal

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


@pytest.mark.parametrize("damage", ["flipped", "truncated"])
def test_damaged_newest_is_named_and_passed_over(damage, tmp_path, capsys):
    run_toy(tmp_path / "whole")
    folder = tmp_path / "damaged"
    shutil.copytree(tmp_path / "whole", folder)
    (folder / "finished.json").unlink()
    newest = folder / "epoch_3.pth"
    content = bytearray(newest.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    else:
        del content[len(content) // 2 :]
    newest.write_bytes(content)
    run_toy(folder)
    assert f"passed over: checkpoint {newest} is damaged" in capsys.readouterr().out
    assert differences(tmp_path / "whole" / "epoch_3.pth", newest) == []


def test_a_bit_of_meta_or_directory_is_no_other_run(tmp_path):
    """Never a KeyError, "a run of another config", or a start from nothing."""
    with_signal(tmp_path, "iter", 3)
    path = tmp_path / "iter_3.pth"
    good = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        directory = archive.start_dir
    meta, settings = good.index(b"resumable"), good.index(b"ToyModel")
    places = [meta, meta + 12, settings, good.index(b"saved_at"), len(good) - 3]
    for place in [*places, *range(directory, len(good), 97)]:
        damaged = bytearray(good)
        damaged[place] ^= 0x04
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"iter_3.pth is damaged") as error:
            prepare_work_dir(toy_config(tmp_path), None)
        assert error.value.exit_code == 3


def test_all_damaged_is_an_error_not_a_new_start(tmp_path):
    with_signal(tmp_path, "iter", 3)
    (tmp_path / "iter_3.pth").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match=r"no checkpoint of .*\n.*iter_3.pth"):
        run_toy(tmp_path)
    with pytest.raises(CheckpointError, match=r"no checkpoint of .*\n.*iter_3.pth"):
        run_toy(tmp_path, resume="auto")
    (tmp_path / "finished.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"no checkpoint of .*\n.*iter_3.pth"):
        run_toy(tmp_path)


def test_only_what_a_run_wrote_is_continued(tmp_path):
    with_signal(tmp_path / "run", "iter", 3)
    path = tmp_path / "other.pth"
    torch.save(load_checked(tmp_path / "run" / "iter_3.pth"), path)
    with pytest.raises(CheckpointError, match=r"other.pth has no digest"):
        run_toy(tmp_path / "new", resume=str(path))
    content = load_checked(path)
    content["meta"]["format"] = 0
    save_atomic(content, path)
    with pytest.raises(CheckpointError, match=r"other.pth has format 0"):
        run_toy(tmp_path / "new", resume=str(path))


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
    found = find_checkpoints(tmp_path)
    names = [path.name for path, _ in found.good]
    assert names == ["epoch_3.pth", "epoch_2.pth", "epoch_1.pth"] and not found.broken


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
    with pytest.raises(WorkDirError, match=f"process {child.pid} is using"):
        FusionRunner.from_cfg(toy_config(tmp_path)).train()
    child.kill()
    child.join()
    os.close(WorkDirLock(tmp_path)._fd)


def test_checkpoint_says_where_it_comes_from(tmp_path):
    run_toy(tmp_path)
    meta = load_checked(tmp_path / "epoch_3.pth")["meta"]
    assert (meta["epoch"], meta["iter"], meta["batch"], meta["seed"]) == (3, 18, 0, 3)
    assert '"model.type": "ToyModel"' in meta["settings"]


def mmengines(path):
    """A checkpoint as MMEngine writes it, which weights_only cannot read."""
    buffers = {"log_scalars": {"loss": HistoryBuffer([1.0], [1])}}
    torch.save({"meta": {"epoch": 3}, "state_dict": {}, "message_hub": buffers}, path)


def not_resumable(path):
    torch.save({"meta": {"epoch": 3}, "state_dict": {"w": torch.zeros(2)}}, path)


FOREIGN = {
    "epoch_3.pth": mmengines,
    "iter_9.pth": not_resumable,
    "best.pth": not_resumable,
    "finished.json": lambda path: path.write_text('{"mine": 1}'),
    "last_checkpoint": lambda path: path.write_text("my notes"),
    "bad_samples.json": lambda path: path.write_text('["a"]'),
    "toy_config.py": lambda path: path.write_text("lr = 1  # my own config"),
    ".lock": lambda path: path.write_text("mine"),
}


@pytest.mark.parametrize("resume", [None, "auto"])
@pytest.mark.parametrize("name", FOREIGN)
def test_what_no_run_wrote_is_named_and_not_touched(name, resume, tmp_path):
    path = tmp_path / name
    FOREIGN[name](path)
    before = path.read_bytes()
    with pytest.raises(WorkDirError, match=name):
        prepare_work_dir(toy_config(tmp_path), resume)
    with pytest.raises(WorkDirError, match=name):  # in plain Python too
        FusionRunner.from_cfg(toy_config(tmp_path)).train()
    assert path.read_bytes() == before


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    run_toy(folder)
    return folder


def copy_of(folder, target, names):
    target.mkdir()
    for name in names:
        shutil.copy(folder / name, target)
    return target


@pytest.mark.parametrize(
    "names",
    [
        ["best.pth", "finished.json"],
        ["finished.json"],
        ["epoch_3.pth", "best.pth", "finished.json"],
    ],
    ids=lambda names: "+".join(names),
)
@pytest.mark.parametrize("options", [None, {"model.drop_rate": 0.1}], ids=["", "other"])
def test_what_is_left_of_a_run_is_never_replaced(names, options, finished, tmp_path):
    folder = copy_of(finished, tmp_path / "run", names)
    before = {name: (folder / name).read_bytes() for name in names}
    if options is None and "finished.json" in names and len(names) > 1:
        assert run_toy(folder) is None  # this very run, complete
    else:
        with pytest.raises(WorkDirError, match=r"another config|which a new one would"):
            run_toy(folder, options)
    if "epoch_3.pth" not in names:
        with pytest.raises(WorkDirError, match=r"another config|which a new one would"):
            run_toy(folder, options, resume="auto")
    with pytest.raises(WorkDirError, match="which a new one would overwrite"):
        FusionRunner.from_cfg(toy_config(folder, options)).train()
    assert {name: (folder / name).read_bytes() for name in names} == before


@pytest.mark.parametrize("resume", [None, "auto"])
def test_a_best_without_checkpoint_is_kept_under_another_name(
    resume, finished, tmp_path
):
    """A run that was killed before its first checkpoint begins again."""
    folder = copy_of(finished, tmp_path / "run", ["best.pth"])
    before = (folder / "best.pth").read_bytes()
    with pytest.raises(WorkDirError, match=r"another config:\n  model.drop_rate"):
        run_toy(folder, {"model.drop_rate": 0.1}, resume=resume)
    assert run_toy(folder, {"log_level": "ERROR"}, resume=resume).epoch == 3
    assert (folder / "best.pth.earlier").read_bytes() == before
    assert differences(folder / "epoch_3.pth", finished / "epoch_3.pth") == []


def test_a_folder_with_another_run_takes_no_checkpoint_of_elsewhere(finished, tmp_path):
    other = {"model.drop_rate": 0.1}
    with pytest.raises(WorkDirError, match=r"another config:\n  model.drop_rate"):
        with_signal(tmp_path, "iter", 1, other)
        run_toy(tmp_path, resume=str(finished / "epoch_2.pth"))


@pytest.mark.parametrize("content", [b'{"epoch": 3, "it', b"[]", b"\xff", b""])
def test_half_a_finished_json_is_named(content, finished, tmp_path):
    folder = copy_of(finished, tmp_path / "run", ["epoch_3.pth", "best.pth"])
    (folder / "finished.json").write_bytes(content)
    with pytest.raises(WorkDirError, match=r"finished.json .*"):
        run_toy(folder)


def test_nothing_to_resume_starts_from_load_from(finished, tmp_path, log_lines):
    options = {"load_from": str(finished / "best.pth"), "train_cfg.max_epochs": 1}
    runner = run_toy(tmp_path, options, resume="auto")
    assert runner.epoch == 1 and runner.resumed_from is None
    assert runner._has_loaded
