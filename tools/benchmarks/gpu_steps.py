"""Parts of gpu.py that time training steps: whole models, and torch.compile."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from gpu_report import Results
from gpu_time import Options, kernels_of, time_in_turn
from measure import ROOT
from mmengine.config import Config
from model import CLASSES, Classifier
from published import published
from torch import Tensor, nn

from mmfusion.models.text_encoders.text_encoder import ROBERTA_BASE
from mmfusion.ops import scan_backend
from mmfusion.ops.backends import missing_reason
from mmfusion.registry import MODELS
from mmfusion.structures import ActionDataSample
from mmfusion.utils.compiling import prepare_compiler


class Step:
    """A model, its optimizer, and what one training step of it is."""

    def __init__(self, model: nn.Module, loss: Callable[[nn.Module], Tensor]) -> None:
        self.model, self.loss = model, loss
        learned = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(learned, lr=1e-5, fused=True)

    def __call__(self) -> None:
        self.loss(self.model).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def classifier_step(arch: str, batch: int, options: Options) -> Step:
    """VideoMamba with a head on 8 frames of 224 px."""
    torch.manual_seed(0)
    frames, size = (8, 224) if options.on_gpu else (2, 32)
    arch = arch if options.on_gpu else "nano"
    batch = batch if options.on_gpu else 2
    model = Classifier(arch, frames, size).to(options.device)
    clips = torch.randn(batch, 3, frames, size, size, device=options.device)
    target = torch.arange(batch, device=options.device) % CLASSES

    def loss(model: nn.Module) -> Tensor:
        with torch.autocast(options.device, torch.bfloat16):
            logits = model(clips)
        return F.cross_entropy(logits.float(), target)

    return Step(model, loss)


def mambavl_step(batch: int, options: Options) -> Step:
    """The config's model with random weights: 16 frames of 224 px, two questions."""

    torch.manual_seed(0)
    name = "mambavl_base" if options.on_gpu else "mambavl_nano"
    file = ROOT / "configs" / "_base_" / "models" / f"{name}.py"
    settings = Config.fromfile(str(file)).model
    if options.on_gpu:  # no files of weights, and no mixing of the batch
        hf_config = dict(ROBERTA_BASE)
        settings.encoders.text.update(pretrained=None, hf_config=hf_config)
    frames, size, batch, classes = (
        (16, 224, batch, (97, 300)) if options.on_gpu else (8, 64, 2, (6, 12))
    )
    model = MODELS.build(settings).to(options.device).train()
    text = torch.randint(5, 1000, (batch, 1, 2, 20), device=options.device)
    inputs = dict(
        video=torch.randn(batch, 1, 3, frames, size, size, device=options.device),
        text=text,
        text_mask=torch.ones_like(text, dtype=torch.bool),
    )
    samples = []
    for i in range(batch):
        sample = ActionDataSample()
        sample.gt_verb = torch.tensor(i % classes[0], device=options.device)
        sample.gt_noun = torch.tensor(i % classes[1], device=options.device)
        samples.append(sample)

    def loss(model: nn.Module) -> Tensor:
        with torch.autocast(options.device, torch.bfloat16):
            losses = model(inputs, samples, mode="loss")
        return sum(v for k, v in losses.items() if k.startswith("loss"))  # type: ignore

    return Step(model, loss)


STEPS: dict[str, Callable[[Options], Step]] = {
    "VideoMamba-Tiny, 8 x 224, batch 32": partial(classifier_step, "tiny", 32),
    "VideoMamba-Middle, 8 x 224, batch 16": partial(classifier_step, "middle", 16),
    "MambaVL ViT-B, 16 x 224, batch 16": partial(mambavl_step, 16),
}
AUTHORS = "as published, mamba-ssm's kernels and flips"


@contextmanager
def road(name: str, model: nn.Module, options: Options) -> Iterator[None]:
    """A backend's name, or the authors' arrangement."""
    with ExitStack() as stack:
        if name.startswith(AUTHORS):
            stack.enter_context(published(model, kernels_of(options)))
        elif options.on_gpu:
            stack.enter_context(scan_backend(name))
        yield


def roads_here(options: Options) -> list[str]:
    if not options.on_gpu:
        return ["torch", AUTHORS]
    here = [x for x in ("triton", "mamba_ssm") if missing_reason(x) is None]
    if "mamba_ssm" in here:
        here.append(AUTHORS + kernels_of(options).note)
    return here


def models(options: Options, results: Results) -> int:
    """Steps by each road in turn, their peaks, and where the time of triton's goes."""
    stored: dict[str, Any] = {}
    profiles: dict[str, Any] = {}
    failed: dict[str, str] = {}
    share = options.left() / len(STEPS)
    for key, make in STEPS.items():
        if options.left() < 8:
            return 1
        try:
            stored[key] = step_point(make, options, seconds=0.4 * share)
            results.update("models", dict(points=stored))
            if options.left() > 15:
                profiles[key] = profile(make(options), options)
        except Exception as error:
            failed[key] = f"{type(error).__name__}: {error}"[:600]
        results.update("models", dict(profiles=profiles, failed=failed))
        if options.on_gpu:
            torch.cuda.empty_cache()
    return int(bool(failed) or any(x["failed"] for x in stored.values()))


def step_point(
    make: Callable[[Options], Step], options: Options, *, seconds: float
) -> dict[str, Any]:
    step = make(options)
    names = roads_here(options)
    calls: dict[str, Callable[[], object]] = {}
    extra: dict[str, dict[str, float]] = {}
    failed: dict[str, str] = {}
    losses: dict[str, Tensor] = {}
    for name in names:  # all before the first step, which changes the weights
        try:  # a road that fails is named, the others go on
            with road(name, step.model, options), torch.random.fork_rng():
                torch.manual_seed(1)  # dropout is the same
                losses[name] = step.loss(step.model).detach().float()
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"[:300]
    expected = next(iter(losses.values()), None)
    for name, loss in losses.items():

        def call(name: str = name) -> None:
            with road(name, step.model, options):
                step()

        try:
            call()
            peak = peak_gb(call, options)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"[:300]
            step.optimizer.zero_grad()
            continue
        calls[name] = call
        extra[name] = dict(error=float(((loss - expected) / expected).abs()))
        extra[name]["peak_gb"] = peak
    rounds = 15 if options.on_gpu else 2
    timed = time_in_turn(calls, options, rounds=rounds, seconds=seconds)
    for name, values in timed.items():
        values |= extra[name] | dict(host_ms=host_ms(calls[name], options))
    return dict(timed=timed, against=names[-1], failed=failed)


def host_ms(call: Callable[[], object], options: Options) -> float:
    """Of Python, which sends out a step's work; where this is more, the GPU waits."""
    samples = []
    for _ in range(5 if options.on_gpu else 1):
        if options.on_gpu:
            torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        samples.append(1e3 * (time.perf_counter() - start))
    return statistics.median(samples)


def peak_gb(call: Callable[[], object], options: Options) -> float:
    """Most memory of a step, weights and optimizer among it."""
    if not options.on_gpu:
        call()
        return 0.0
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    call()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() / 1e9


def profile(step: Step, options: Options, count: int = 14) -> list[tuple]:
    """The kernels that take most of a step: name, ms, calls."""
    from torch.profiler import ProfilerActivity

    kinds = [ProfilerActivity.CUDA if options.on_gpu else ProfilerActivity.CPU]
    name = roads_here(options)[0]
    with road(name, step.model, options):
        step()
        step()
        with torch.profiler.profile(activities=kinds) as profiler:
            step()
            if options.on_gpu:
                torch.cuda.synchronize()
    attribute = "self_device_time_total" if options.on_gpu else "self_cpu_time_total"
    events = profiler.key_averages()
    rows = [(x.key, getattr(x, attribute) / 1e3, x.count) for x in events]
    everything = ("everything", sum(row[1] for row in rows), sum(r[2] for r in rows))
    return [everything, *sorted(rows, key=lambda row: -row[1])[:count]]


def compile_step(options: Options, results: Results) -> int:
    """torch.compile on and off, by triton's kernels, and what compiling takes."""
    key = "VideoMamba-Tiny, 8 x 224, batch 32"
    step = STEPS[key](options)
    name = roads_here(options)[0]
    plain = step.model
    began = time.time()
    rounds = 12 if options.on_gpu else 2

    def eager() -> None:
        with road(name, plain, options):
            step.model = plain
            step()

    def compiled() -> None:
        with road(name, plain, options):
            step.model = fast
            step()

    alone = time_in_turn(dict(eager=eager), options, rounds=rounds, seconds=3)
    point: dict[str, Any] = dict(timed=alone)
    point |= dict(against="eager", backend=name)
    results.update("compile", dict(points={f"compile: {key}": point}))
    prepare_compiler()
    fast = torch.compile(plain)
    began = time.time()
    try:
        compiled()
    except Exception as error:
        point["failed"] = dict(compiled=f"{type(error).__name__}: {error}"[:300])
        results.update("compile", dict(points={f"compile: {key}": point}))
        return 1
    point["first_step_s"] = round(time.time() - began, 1)
    point["timed"] = time_in_turn(
        dict(eager=eager, compiled=compiled), options, rounds=rounds, seconds=8
    )
    results.update("compile", dict(points={f"compile: {key}": point}))
    return 0
