import subprocess
import sys

import pytest

from mmfusion.utils.allocator import tune_cpu_allocator

_FAULTS = """
import resource, sys, torch
from mmfusion.utils.allocator import tune_cpu_allocator
torch.set_num_threads(1)
if sys.argv[1] == "tuned" and not tune_cpu_allocator():
    raise SystemExit(3)
for _ in range(12):
    torch.ones(12_000_000)  # 48 MB, more than glibc keeps by itself
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    torch.ones(12_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS, mode], capture_output=True, text=True
    )
    if done.returncode == 3:
        pytest.skip("not glibc")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
def test_freed_memory_is_used_again():
    assert page_faults("tuned") < page_faults("as it is") / 2


def test_elsewhere_it_says_so(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert tune_cpu_allocator() is False
