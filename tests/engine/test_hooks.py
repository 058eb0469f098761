"""Hooks: what is kept, when training ends, what is logged."""

import json
import multiprocessing
import os
import signal
import time
import types

import pytest

from mmfusion.engine import AtomicCheckpointHook, EarlyStopHook, GracefulStopHook
from mmfusion.engine.hooks import graceful_stop_hook
from mmfusion.engine.runner.checkpoints import save_atomic
from mmfusion.utils.errors import CheckpointError, NonFiniteError
from mmfusion.weights import load_checked
from tests.engine.toy_runs import run_toy, with_signal


class FakeRunner:
    def __init__(self):
        self.train_loop = type("Loop", (), {"stop_training": False})()
        self.logger = type("Logger", (), {"info": lambda self, text: None})()


def feed(hook, values):
    """Validations until the hook stops the run; their number."""
    runner = FakeRunner()
    for number, value in enumerate(values, 1):
        hook.after_val_epoch(runner, {"action/top1": value})
        if runner.train_loop.stop_training:
            return number
    return None


@pytest.mark.parametrize(
    ("rule", "values", "stops"),
    [
        ("greater", [1, 2, 2, 2], 4),
        ("greater", [1, 2, 2, 2.05, 2.2, 2.2], 4),
        ("less", [3, 2, 2, 1, 1, 1], 6),
        ("greater", [1, 2, 3, 4], None),
    ],
)
def test_early_stop_counts(rule, values, stops):
    hook = EarlyStopHook(monitor="action/top1", patience=2, min_delta=0.1, rule=rule)
    assert feed(hook, values) == stops


def test_early_stop_counts_on_after_resume():
    first = EarlyStopHook(monitor="action/top1", patience=3)
    assert feed(first, [5, 4, 4]) is None
    second = EarlyStopHook(monitor="action/top1", patience=3)
    second.load_state_dict(first.state_dict())
    assert feed(second, [4]) == 1


def test_early_stop_names_a_missing_metric():
    with pytest.raises(ValueError, match=r"'verb/top1'.*action/top1"):
        feed(EarlyStopHook(monitor="verb/top1"), [1])


def test_early_stopped_run_is_complete(tmp_path):
    patience = {"custom_hooks.1.patience": 1, "custom_hooks.1.min_delta": 100.0}
    run_toy(tmp_path, patience)
    assert json.loads((tmp_path / "finished.json").read_text())["epoch"] == 2
    assert run_toy(tmp_path, patience) is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"max_keep_ckpts": 1}, ["best.pth", "epoch_3.pth"]),
        (
            {"max_keep_ckpts": -1, "interval": 2},
            ["best.pth", "epoch_2.pth", "epoch_3.pth"],
        ),
        (
            {"max_keep_ckpts": 3, "iter_interval": 5, "save_best": None},
            ["epoch_2.pth", "epoch_3.pth", "iter_15.pth"],
        ),
    ],
    ids=["newest", "every-second", "by-iteration"],
)
def test_what_is_kept(options, expected, tmp_path):
    hooks = {f"default_hooks.checkpoint.{key}": value for key, value in options.items()}
    run_toy(tmp_path, hooks)
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == expected
    last = (tmp_path / "last_checkpoint").read_text()
    assert last == str(tmp_path / "epoch_3.pth")


def test_old_checkpoint_stays_until_the_new_one_is_there(tmp_path, monkeypatch):
    seen = []
    module = "mmfusion.engine.runner.fusion_runner.save_atomic"

    def look(checkpoint, path):
        seen.append(sorted(item.name for item in tmp_path.glob("epoch_*.pth")))
        save_atomic(checkpoint, path)

    monkeypatch.setattr(module, look)
    keep_one = {
        "default_hooks.checkpoint.max_keep_ckpts": 1,
        "default_hooks.checkpoint.save_best": None,
    }
    run_toy(tmp_path, keep_one)
    assert seen[1:] == [["epoch_1.pth"]] * 2 + [["epoch_2.pth"]] * 2 + [["epoch_3.pth"]]


def test_stop_file_is_dropped_later(tmp_path):
    with_signal(tmp_path, "iter", 8)
    assert (tmp_path / "iter_8.pth").exists()
    run_toy(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*_*.pth")) == [
        "epoch_2.pth",
        "epoch_3.pth",
    ]


def test_best_is_the_ema_that_was_validated(tmp_path):
    runner = run_toy(tmp_path)
    best = load_checked(tmp_path / "best.pth")
    assert set(best) == {"meta", "state_dict", "ema_state_dict"}
    assert best["meta"]["best"]["epoch"] == best["meta"]["epoch"]
    assert runner.message_hub.get_scalar("train/alpha").current() != 1.0


def test_save_error_may_be_survived(tmp_path, monkeypatch):
    module = "mmfusion.engine.runner.fusion_runner.save_atomic"
    fails = iter([True, True, False])

    def sometimes(checkpoint, path):
        if next(fails, False):
            raise CheckpointError("no space")
        save_atomic(checkpoint, path)

    monkeypatch.setattr(module, sometimes)
    with pytest.raises(CheckpointError, match="no space"):
        run_toy(tmp_path / "raise")
    go_on = {"default_hooks.checkpoint.on_save_error": "continue"}
    run_toy(tmp_path / "continue", go_on)
    assert (tmp_path / "continue" / "finished.json").exists()


@pytest.mark.parametrize("end", ["end", "stop"])
def test_a_run_that_saved_nothing_does_not_end_well(end, tmp_path, monkeypatch):
    def never(checkpoint, path):
        raise CheckpointError("no space")

    monkeypatch.setattr("mmfusion.engine.runner.fusion_runner.save_atomic", never)
    go_on = {"default_hooks.checkpoint.on_save_error": "continue"}
    with pytest.raises(CheckpointError, match="no space"):
        if end == "end":
            run_toy(tmp_path, go_on)
        else:
            with_signal(tmp_path, "iter", 2, go_on)
    assert not (tmp_path / "finished.json").exists()


def test_best_is_what_is_in_the_file_when_writing_it_failed(tmp_path, monkeypatch):
    def all_but_best(checkpoint, path):
        if path.name == "best.pth":
            raise CheckpointError("no space")
        save_atomic(checkpoint, path)

    module = "mmfusion.engine.runner.fusion_runner.save_atomic"
    monkeypatch.setattr(module, all_but_best)
    run_toy(tmp_path, {"default_hooks.checkpoint.on_save_error": "continue"})
    assert json.loads((tmp_path / "finished.json").read_text())["best"] is None


def test_parameters_that_are_not_finite_are_never_saved(tmp_path):
    """Gradients are clipped and finite, the update alone is too large for a float."""
    options = {
        "optim_wrapper.optimizer": dict(
            _delete_=True, type="SGD", lr=3e38, weight_decay=10.0
        ),
        "param_scheduler": [],
    }
    options["train_cfg.max_epochs"] = 1
    options["train_dataloader.dataset.size"] = 4  # one step: no loss comes after it
    with pytest.raises(NonFiniteError, match="iteration 1: .*body.weight"):
        run_toy(tmp_path, options)
    assert list(tmp_path.glob("*.pth")) == []


def test_best_goes_along_into_another_folder(tmp_path):
    keep = {"default_hooks.checkpoint.max_keep_ckpts": -1}
    run_toy(tmp_path / "a", keep)
    done = json.loads((tmp_path / "a" / "finished.json").read_text())
    for name in ("b", "c"):
        run_toy(tmp_path / name, keep, resume=str(tmp_path / "a" / "epoch_3.pth"))
        found = json.loads((tmp_path / name / "finished.json").read_text())["best"]
        if name == "b":
            assert found == done["best"]
            meta = load_checked(tmp_path / "b" / "best.pth")["meta"]
            assert meta["best"] == found
        else:  # nothing is known of a file that is not there
            assert found is None and not (tmp_path / "c" / "best.pth").exists()
        (tmp_path / "a" / "best.pth").unlink(missing_ok=True)


def test_stop_code_and_handlers(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    stopped = with_signal(tmp_path, "iter", 2, {"default_hooks.stop.exit_code": 143})
    assert stopped.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert GracefulStopHook().exit_code == 0


@pytest.mark.parametrize(
    "arguments", [dict(rule="more"), dict(on_save_error="?"), dict(interval=0)]
)
def test_wrong_arguments_are_named(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        AtomicCheckpointHook(**arguments)


def ends_with(signals, pause=0.0):
    """Exit code of a process that sends itself signals; 9 where it goes on."""

    def child():
        graceful_stop_hook.SAME_REQUEST = 0.2
        loop = types.SimpleNamespace(is_waiting=lambda: False)
        GracefulStopHook().before_train(types.SimpleNamespace(train_loop=loop))
        for signum in signals:
            os.kill(os.getpid(), signum)
            time.sleep(pause)
        os._exit(9)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(20)
    return process.exitcode


def test_a_second_signal_ends_at_once():
    assert ends_with([signal.SIGTERM] * 2, pause=0.3) == 128 + signal.SIGTERM


def test_a_signal_that_is_passed_on_is_the_same_request():
    assert ends_with([signal.SIGTERM, signal.SIGINT, signal.SIGTERM]) == 9


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_every_signal_that_asks_to_stop_is_heard(name):
    assert ends_with([getattr(signal, name)]) == 9


def test_nohup_stays_in_force():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    hook = GracefulStopHook()
    try:
        hook.before_train(None)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        hook.after_run(None)
        signal.signal(signal.SIGHUP, before)
