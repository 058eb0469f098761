"""A run whose decoder hangs: the first Ctrl-C has effect, and the limit holds."""

import signal
import time
from pathlib import Path

import pytest

from mmfusion.weights.files import load_checked
from tests.campaigns.forked_runs import train
from tests.datasets.clips import write_clips
from tests.engine.toy_runs import CONFIG

TEXT = """
_base_ = [{base!r}]
custom_imports = dict(imports=["tests.engine.toy", "tests.datasets.test_clip_process"])
train_dataloader = dict(
    num_workers={num_workers},
    sampler=dict(shuffle=False),
    dataset=dict(
        _delete_=True,
        type="MultiModalDataset",
        ann_file={ann_file!r},
        pipeline=[
            dict(type="Misbehave", name="clip9", how="hang"), dict(type="DrawNumbers")
        ],
        on_error=dict(policy={policy!r}, max_bad=0.1),
        clip_timeout={limit},
    ),
)
"""


def run_with_a_hang(folder: Path, **options: object):
    """A run of 20 clips, the tenth of which hangs, in batches of four."""
    config = folder / "config.py"
    options = {"base": str(CONFIG), "ann_file": write_clips(folder, 20), **options}
    config.write_text(TEXT.format(**options))
    return train(folder / "work", config=config)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_the_first_ctrl_c_saves_and_ends(tmp_path: Path, num_workers: int) -> None:
    job = run_with_a_hang(tmp_path, num_workers=num_workers, policy="raise", limit=60)
    job.wait_for("train 2")
    time.sleep(0.3)
    job.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert job.wait() == 0, job.text()
    job.wait_until_alone()
    assert time.monotonic() - began < 15
    assert load_checked(tmp_path / "work/iter_2.pth")["meta"]["iter"] == 2


def test_the_run_goes_on_without_the_clip(tmp_path: Path) -> None:
    job = run_with_a_hang(tmp_path, num_workers=1, policy="skip", limit=0.3)
    assert job.wait() == 0, job.text()
    job.wait_until_alone()
    assert (tmp_path / "work/finished.json").exists()


def test_the_run_ends_and_names_the_clip(tmp_path: Path) -> None:
    job = run_with_a_hang(tmp_path, num_workers=1, policy="raise", limit=0.3)
    assert job.wait() in (1, 2)
    job.wait_until_alone()
    assert "sample 'clip9' (v9.mp4): it took longer than 0.3 s" in job.text()
    assert "Traceback" not in job.text()
