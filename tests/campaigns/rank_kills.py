"""One of two ranks is killed: the other leaves soon and says why; nothing is lost.

Each trial runs two gloo ranks under tools/dist_train.sh and kills one of them by
SIGKILL in a step, a validation or a save. The command must end within 30 seconds, with
the code of the kill; name the rank and the signal; leave no process behind and no
broken checkpoint. The same command must then finish with the state of a run that was
never touched, to the last bit.

    python -m tests.campaigns.rank_kills --number 20
"""

import os
import signal
import time
from pathlib import Path

import numpy as np

from mmfusion.weights.files import load_checked
from tests.campaigns.campaign import main
from tests.campaigns.forked_runs import PAUSE, dist_train
from tests.campaigns.signals import LAST, reference
from tests.engine.toy_runs import differences

PLACES = ("train", "val", "save")


def trial(number: int, random: np.random.Generator, folder: Path) -> str:
    """Kill one rank of a run, look at what it left, and continue it."""
    rank, place = number % 2, PLACES[number // 2 % len(PLACES)]
    work = folder / "work"
    job = dist_train(work)
    try:
        arrived = job.wait_for(place, int(random.integers(1, 6)))
        assert arrived, job.text()
        time.sleep(float(random.uniform(0, 2 * PAUSE)))
        started = [told.split() for told in job.places if told.startswith("rank ")]
        (pid,) = [int(words[2]) for words in started if int(words[1]) == rank]
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        code = job.wait(35)
        took = time.monotonic() - began
        job.wait_until_alone(1)
    finally:
        job.kill()
    assert took < 30, f"{took:.0f} s until the end\n{job.text()}"
    assert code == 128 + signal.SIGKILL, f"exit code {code}\n{job.text()}"
    assert f"process {rank} was ended by SIGKILL" in job.text(), job.text()
    assert f"process {1 - rank} of 2 lost another one" in job.text(), job.text()
    assert "Traceback" not in job.text(), job.text()
    for path in work.glob("*_*.pth"):
        load_checked(path)
    again = dist_train(work)
    assert again.wait() == 0, again.text()
    assert differences(reference(True) / LAST, work / LAST) == []
    return f"rank {rank}, {place}"


if __name__ == "__main__":
    main(trial, __doc__, 20)
