"""Clips a second of training on kept tokens beside training on frames.

    python tools/benchmarks/features.py CONFIG

CONFIG has ``features``, whose tokens tools/features.py has written. Both forms train in
this process with the config's own loader, model and optimizer: --pairs pairs, live and
cached in turn, after a warm-up of each. Prints both rates of each pair, the medians,
and whether the first loss was the same to the last digit.
"""

import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner, set_random_seed

from mmfusion.engine.launch.completion import complete_config
from mmfusion.engine.launch.config_check import load_config
from mmfusion.engine.launch.start import OptionsAction
from mmfusion.registry import MODELS
from mmfusion.utils.commands import command_parser, errors_in_one_line, positive


class Training:
    """One form of a config, which trains without end."""

    def __init__(self, path: str, options: dict[str, Any], workers: int) -> None:
        config: Config = load_config(path, options)
        complete_config(config)
        settings = dict(config.train_dataloader, num_workers=workers)
        settings["persistent_workers"] = workers > 0
        set_random_seed(0)
        with DefaultScope.overwrite_default_scope("mmfusion"):
            self.model = MODELS.build(config.model)
            self.model.init_weights()
            self.optimizer = build_optim_wrapper(self.model, config.optim_wrapper)
            self.loader = Runner.build_dataloader(settings, seed=0)
        self.batch = settings["batch_size"]
        self.model.train()
        self.batches = self._batches()

    def _batches(self) -> Iterator[Any]:
        epoch = 0
        while True:
            self.loader.sampler.set_epoch(epoch)
            yield from self.loader
            epoch += 1

    def step(self) -> float:
        """One step of training; its loss."""
        losses = self.model.train_step(next(self.batches), self.optimizer)
        return float(losses["loss"].detach())

    def rate(self, steps: int) -> float:
        """Clips a second of some steps, loading included."""
        begin = time.perf_counter()
        for _ in range(steps):
            self.step()
        return steps * self.batch / (time.perf_counter() - begin)


@errors_in_one_line
def main(argv: Sequence[str] | None = None) -> int:
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("config", help="config with features")
    add("--pairs", type=positive, default=5)
    add("--live-steps", type=positive, default=10)
    add("--cached-steps", type=positive, default=100)
    add("--workers", type=int, default=1, help="of each loader (1)")
    add("--cfg-options", nargs="+", action=OptionsAction, default={}, help="key=value")
    args = parser.parse_args(argv)
    live = Training(args.config, {**args.cfg_options, "features": None}, args.workers)
    cached = Training(args.config, args.cfg_options, args.workers)
    first = live.step(), cached.step()
    same = "equal" if first[0] == first[1] else f"off by {abs(first[0] - first[1]):.2g}"
    print(f"first loss {first[0]:.9f} live, {first[1]:.9f} cached: {same}")
    rates = []
    for number in range(args.pairs):
        pair = live.rate(args.live_steps), cached.rate(args.cached_steps)
        rates.append(pair)
        print(
            f"pair {number + 1}: {pair[0]:.1f} live, {pair[1]:.1f} cached clips/s:"
            f" {pair[1] / pair[0]:.1f} times",
            flush=True,
        )
    ratio = statistics.median(pair[1] / pair[0] for pair in rates)
    medians = [statistics.median(column) for column in zip(*rates, strict=True)]
    print(f"medians: {medians[0]:.1f}, {medians[1]:.1f} clips/s: {ratio:.1f} times")
    return 0


if __name__ == "__main__":
    sys.exit(main())
