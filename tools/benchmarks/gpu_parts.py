"""Parts of gpu.py that ask what is there and whether it is right.

gpu_scans.py and gpu_steps.py have the parts that measure.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gpu_plans
import gpu_scans
import gpu_steps
import torch
from gpu_report import Results
from gpu_time import Options, chip_rates
from measure import ROOT, machine

from mmfusion.weights import load_checked

CONFIG = "configs/demo/video_mamba_nano_tinyego.py"
OUTCOME = re.compile(
    r"(PASSED|FAILED|SKIPPED|ERROR|XFAIL)\s+(tests/\S.*?)\s*(?: - .*)?$"
)


def chip(options: Options, results: Results) -> None:
    """Name the machine and measure its own rates."""
    facts = machine()
    if options.on_gpu:
        import triton

        driver = torch.cuda.get_device_properties(0)
        facts |= dict(
            triton=triton.__version__,
            cuda=torch.version.cuda,
            memory_gb=round(driver.total_memory / 1e9, 1),
            sms=driver.multi_processor_count,
            capability=list(torch.cuda.get_device_capability()),
        )
    results.update("chip", dict(machine=facts))
    results.update("chip", dict(rates=chip_rates(options)))


# ---- tests


def parity(options: Options, results: Results) -> int:
    """All GPU tests but mamba-ssm's, which is being compiled."""
    return _pytest("parity", ["-k", "not mamba_ssm"], 14, options, results)


def mamba_ssm(options: Options, results: Results) -> int:
    """Those of mamba-ssm's kernels; without ``parity`` some of triton's too."""
    choice, jobs = "mamba_ssm", 4
    if "parity" not in results.read():
        choice, jobs = "mamba_ssm or (triton and (both or model))", 8
    return _pytest("mamba_ssm", ["-k", choice], jobs, options, results)


def _pytest(
    part: str, choice: list[str], jobs: int, options: Options, results: Results
) -> int:
    """Run the GPU tests; a cut leaves the outcomes so far."""
    jobs = max(1, min(jobs, (os.cpu_count() or 2) - 2)) if options.on_gpu else 1
    command = [sys.executable, "-m", "pytest", "tests/ops", "-m", "gpu", "-v"]
    command += ["-p", "no:cacheprovider", *choice, "--tb=short", "-n", str(jobs)]
    log = options.out / f"{part}.log"
    # a line for each test; other versions of packages warn of other things
    choices = "-o addopts=--import-mode=importlib -o filterwarnings=ignore"
    code = _run(command, log, options, ROOT, dict(PYTEST_ADDOPTS=choices))
    counts: Counter[str] = Counter()
    bad = []
    for line in log.read_text(errors="replace").splitlines():
        found = OUTCOME.search(line)
        if found and line.startswith("[gw"):
            counts[found[1].lower()] += 1
            if found[1] in ("FAILED", "ERROR"):
                bad.append(found[2])
    results.update(part, dict(tests=dict(counts=dict(counts), bad=bad, exit=code)))
    return 0 if code in (0, 5) else 1


def _run(
    command: list[str],
    log: Path,
    options: Options,
    cwd: Path,
    environment: Mapping[str, str] = {},
) -> int:
    """Its exit code; 124 where the part's time is over."""
    with log.open("a") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        process = subprocess.Popen(
            command, cwd=cwd, stdout=file, stderr=subprocess.STDOUT,
            env=os.environ | dict(environment), stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            return process.wait(timeout=max(1.0, options.left() - 3))
        except subprocess.TimeoutExpired:
            process.terminate()
            return 124


# ---- training


def training(options: Options, results: Results) -> int:
    """Three runs at once: --amp; under torchrun; the same, stopped and continued."""
    data, logs = options.scratch / "tinyego", options.out / "training.log"
    began = time.time()
    sizes = ["--num-train", "96", "--num-val", "12", "--num-test", "12"]
    make = ["tools/data/tinyego/generate.py", "--layout", "h2o", "--out", str(data)]
    code = _run([sys.executable, *make, *sizes], logs, options, ROOT)
    prepare = ["tools/data/h2o/prepare.py", "--root", str(data)]
    code = code or _run([sys.executable, *prepare], logs, options, ROOT)
    runs: dict[str, Any] = {"data": f"exit code {code}, {time.time() - began:.0f} s"}
    results.update("training", dict(runs=runs))
    if code:
        return 1
    trainings = Trainings(options, data)
    try:
        good = trainings.all(runs, lambda: results.update("training", dict(runs=runs)))
    finally:
        with logs.open("a") as file:
            for log in sorted(options.scratch.glob("train_*.log")):
                file.write(f"==== {log.name}\n{log.read_text(errors='replace')}\n")
    results.update("training", dict(runs=runs))
    return 0 if good else 1


class Trainings:
    """Runs of tools/train.py on the same data."""

    def __init__(self, options: Options, data: Path) -> None:
        self.options = options
        self.epochs = 8 if options.on_gpu else 2
        self.settings = [
            f"train_dataloader.dataset.data_root={data}",
            f"val_dataloader.dataset.data_root={data}",
            f"train_cfg.max_epochs={self.epochs}",
            "default_hooks.checkpoint.max_keep_ckpts=100",
        ]

    def all(self, runs: dict[str, Any], save: Callable[[], None]) -> bool:
        began = time.time()
        amp = self.start("amp", ["python", "tools/train.py", CONFIG, "--amp"])
        whole = self.start("whole", self.torchrun(), deterministic=True)
        halved = self.start("halved", self.torchrun(), deterministic=True)
        stopped = self.stop_after_an_epoch(halved)
        runs["stopped in epoch"] = stopped
        save()
        again = self.start("halved", self.torchrun(), deterministic=True)
        good = True
        for name, process in (("amp", amp), ("whole", whole), ("continued", again)):
            code = self.wait(process)
            good &= code == 0
            runs[name] = f"exit code {code}, by {time.time() - began:.0f} s"
            if name == "amp":
                runs[name] += f"; {self.last_line('amp')}"
            save()
        same = self.same("whole", "halved")
        runs["stopped and continued, bitwise the same"] = same
        save()
        return good and same is True

    def torchrun(self) -> list[str]:
        return ["bash", "tools/dist_train.sh", CONFIG, "1", "--deterministic", "--amp"]

    def start(self, name: str, command: list[str], deterministic: bool = False):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            port = str(server.getsockname()[1])
        command = [*command, "--work-dir", str(self.folder(name))]
        log = (self.options.scratch / f"train_{name}.log").open("a")
        return subprocess.Popen(
            [*command, "--cfg-options", *self.settings],
            cwd=ROOT, env=os.environ | {"PORT": port}, stdin=subprocess.DEVNULL,
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def folder(self, name: str) -> Path:
        return self.options.scratch / f"run_{name}"

    def wait(self, process: subprocess.Popen) -> int:
        try:
            return process.wait(timeout=max(1.0, self.options.left() - 4))
        except subprocess.TimeoutExpired:
            process.kill()
            return 124

    def stop_after_an_epoch(self, process: subprocess.Popen) -> str:
        """SIGTERM once there is a checkpoint; what there was when it had ended."""
        first = self.folder("halved") / "epoch_1.pth"
        while process.poll() is None and not first.exists() and self.options.left() > 8:
            time.sleep(0.05)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        code = self.wait(process)
        kept = sorted(path.name for path in self.folder("halved").glob("*.pth"))
        return f"exit code {code}, left {', '.join(kept) or 'nothing'}"

    def same(self, one: str, other: str) -> bool | str:
        """True if the last weights of two runs are equal bit by bit."""
        files = [self.folder(x) / f"epoch_{self.epochs}.pth" for x in (one, other)]
        lacking = [str(file.name) for file in files if not file.is_file()]
        if lacking:
            return f"a run did not reach {lacking[0]}"
        first, second = (load_checked(file)["state_dict"] for file in files)
        return first.keys() == second.keys() and all(
            torch.equal(first[name], second[name]) for name in first
        )

    def last_line(self, name: str) -> str:
        """The last training line of a log."""
        text = (self.options.scratch / f"train_{name}.log").read_text(errors="replace")
        lines = [line for line in text.splitlines() if "Epoch(train)" in line]
        return " ".join(lines[-1].split()[5:]) if lines else "no line of training"


RUN: dict[str, Callable[[Options, Results], int | None]] = dict(
    chip=chip,
    parity=parity,
    training=training,
    compile=gpu_steps.compile_step,
    mamba_ssm=mamba_ssm,
    scans=gpu_scans.scans,
    plans=gpu_plans.plans,
    models=gpu_steps.models,
)
