"""MMEngine's Runner with checkpoints that are plain, atomic and complete."""

import copy
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import is_cuda_available
from mmengine.dist import barrier, is_distributed, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmfusion.engine.hooks.finite_scores_hook import FiniteScoresHook
from mmfusion.engine.hooks.graceful_stop_hook import GracefulStopHook
from mmfusion.engine.launch.completion import (
    check_skeletons,
    complete_config,
    tell_lost_path,
)
from mmfusion.engine.launch.config_check import (
    check_config,
    check_num_classes,
    known_keys,
)
from mmfusion.engine.launch.config_compare import comparable_config, config_edits
from mmfusion.engine.launch.config_parts import MMENGINE_HOOKS
from mmfusion.engine.optimizers.grouped_constructor import check_custom_keys
from mmfusion.engine.protocols import HidesLabels, StatefulHook
from mmfusion.engine.runner.checkpoints import check_resumable, save_atomic
from mmfusion.engine.runner.dataloader import WatchedLoader, build_dataloader
from mmfusion.engine.runner.distributed import (
    join_process_group,
    lost_process_named,
    slurm_to_torchrun_env,
    sync_buffers_argument,
    write_on_main,
)
from mmfusion.engine.runner.environment import is_for_console, set_up_cpu
from mmfusion.engine.runner.precision import settle_precision
from mmfusion.engine.runner.resumable_train_loop import ResumableTrainLoop
from mmfusion.engine.runner.resuming import continue_run
from mmfusion.engine.runner.saving import collect_state
from mmfusion.engine.runner.work_dir import (
    CONFIG_MARK,
    WorkDirLock,
    check_begin,
    config_name,
    config_text,
    newest_checkpoint,
)
from mmfusion.evaluation.protocols import ReadsDataset
from mmfusion.registry import RUNNERS
from mmfusion.utils.compiling import compile_module, parts_of
from mmfusion.utils.errors import CheckpointError, ConfigError
from mmfusion.utils.late_compiler import import_compiler_late
from mmfusion.utils.paths import write_atomic
from mmfusion.utils.secrets import hide_checkpoints
from mmfusion.weights import fetch, fit, load_checked
from mmfusion.weights.files import unwrap

_MMENGINES = "DefaultOptimWrapperConstructor"


# also the runner of a config that names none, which MMEngine takes for "Runner"
@RUNNERS.register_module(["FusionRunner", "Runner"])
class FusionRunner(Runner):
    """MMEngine's Runner whose runs can be stopped anywhere and continued bitwise.

    It differs in five things. Checkpoints hold tensors and plain values, are written
    atomically, and hold all that a run needs to continue: weights, optimizer,
    schedulers, position within the epoch, random states of every rank, message hub, and
    the state of every hook that has ``state_dict``. They are loaded strictly. The seed
    is 0 where none is given. Each dataloader draws its base seed from a generator of
    its own, so that iterating over data never touches the global generator.
    Distributed training works on CPUs (gloo).

    Use ``FusionRunner.from_cfg(cfg)``; the arguments are MMEngine's.
    """

    _randomness_cfg: dict[str, Any]
    _resume: bool | str
    optim_wrapper: Any
    param_schedulers: Any
    resumed_from: Path | None = None  # the checkpoint that this run goes on from
    _begun: Counter[str] = Counter()  # runs of this process by the second

    @classmethod
    def from_cfg(cls, cfg: Config | dict) -> "FusionRunner":
        """MMEngine's, after what tools do: check, plugins, completion, scope."""
        config = cfg if isinstance(cfg, Config) else Config(cfg)
        check_config(config)
        complete_config(config)
        hide_checkpoints(config._cfg_dict)  # load_from of the command line, too
        config.setdefault("default_scope", "mmfusion")
        return super().from_cfg(config)

    def _log_env(self, env_cfg: dict) -> None:
        """MMEngine's, into the log file; the console has a line that names it.

        The same goes for the config and the table of hooks: 200 lines or more.
        """
        for handler in self.logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.addFilter(is_for_console)
        self.logger.info(
            f"PyTorch {torch.__version__}, seed {self.seed}; environment, config and"
            f" hooks: {self._log_dir}/{self.timestamp}.log"
        )
        super()._log_env(env_cfg)

    def setup_env(self, env_cfg: dict) -> None:
        """MMEngine's, with five things more.

        Two runs of a process that begin within a second have logs of their own.
        gloo is started first where there is no GPU, as MMEngine's own way wants CUDA.
        ``num_threads`` in ``env_cfg`` fixes PyTorch's threads: small models are fastest
        with one, and results then do not depend on the number of cores.
        ``tune_cpu_allocator`` keeps freed memory for the next tensors of a CPU, unless
        a part of the model recomputes its blocks (``with_cp``).
        ``flush_denormals`` makes a CPU take numbers under 1.2e-38 for zero: gradients
        that fade along a scan get there, and such numbers are very slow.
        """
        set_up_cpu(env_cfg, self.cfg.get("model"))
        if self.distributed and not is_distributed() and not is_cuda_available():
            if self._launcher == "slurm":
                slurm_to_torchrun_env()
            join_process_group()
        super().setup_env(env_cfg)
        FusionRunner._begun[self._timestamp] += 1
        if (count := FusionRunner._begun[self._timestamp]) > 1:
            self._timestamp += f"_{count}"

    def set_randomness(
        self,
        seed: int | None = None,
        diff_rank_seed: bool = False,
        deterministic: bool = False,
    ) -> None:
        """MMEngine's, but no seed means 0: the same command twice is the same run."""
        self._randomness_cfg = dict(self._randomness_cfg, seed=seed or 0)
        if deterministic:  # else PyTorch refuses cuBLAS's products
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        super().set_randomness(seed or 0, diff_rank_seed, deterministic)

    @property
    def base_seed(self) -> int:
        """The seed that all ranks share, whatever ``diff_rank_seed`` says."""
        return self._randomness_cfg["seed"]

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """MMEngine's, but on a CPU without the device ids that DDP would refuse."""
        if self.distributed:
            defaults: dict[str, Any] = dict(
                type="MMDistributedDataParallel",
                find_unused_parameters=self.cfg.get("find_unused_parameters", False),
            )
            defaults[sync_buffers_argument()] = False
            if not is_cuda_available():
                defaults["device_ids"] = None
            model_wrapper_cfg = {**defaults, **(model_wrapper_cfg or {})}
        return super().wrap_model(model_wrapper_cfg, model)

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """MMEngine's, with our hooks for checkpoints and absent streams in any case.

        None leaves out any of them, also one of ours, which MMEngine would not take.
        Scores are checked in any case.
        """
        ours = {
            "checkpoint": dict(type="mmfusion.AtomicCheckpointHook"),
            "streams": dict(type="mmfusion.StreamPresenceHook"),
        }
        chosen = {
            name: hook
            for name, hook in {**ours, **(hooks or {})}.items()
            if hook is not None or name in MMENGINE_HOOKS
        }
        super().register_default_hooks(chosen)
        self.register_hook(FiniteScoresHook())

    def build_dataloader(  # type: ignore[override]
        self,
        dataloader: DataLoader | dict,
        seed: int | None = None,
        diff_rank_seed: bool = False,
    ) -> DataLoader:
        """MMEngine's; ranks share the order of samples, the loader has its own RNG.

        ``diff_rank_seed`` is for the model: samplers of all ranks must agree.
        """
        return build_dataloader(dataloader, self.base_seed)

    def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
        """MMEngine's, whose own constructor ignores keys that match no parameter.

        A precision that is left to the machine is chosen here.
        """
        if not self.cfg.get("compile"):
            import_compiler_late()
        if isinstance(optim_wrapper, dict):
            device = next(self.bare_model.parameters()).device
            optim_wrapper = settle_precision(optim_wrapper, self.cfg, device)
            constructor = str(optim_wrapper.get("constructor", _MMENGINES))
            paramwise = optim_wrapper.get("paramwise_cfg") or {}
            if constructor.endswith(_MMENGINES):
                names = [name for name, _ in self.bare_model.named_parameters()]
                check_custom_keys(paramwise.get("custom_keys") or (), names)
        return super().build_optim_wrapper(optim_wrapper)

    def build_train_loop(self, loop: Any) -> Any:
        """MMEngine's, with our epoch loop where the config says ``by_epoch=True``.

        The heads' classes are checked against the data.
        """
        if isinstance(loop, dict) and loop.get("by_epoch"):
            loop = {key: value for key, value in loop.items() if key != "by_epoch"}
            loop["type"] = "mmfusion.ResumableTrainLoop"
        built = super().build_train_loop(loop)
        if not isinstance(built, ResumableTrainLoop):
            raise ConfigError(
                f"train_cfg: {type(built).__name__} cannot be continued after a stop;"
                " expected type=ResumableTrainLoop with max_epochs=N. For some steps"
                " only, set train_dataloader.dataset.indices to so many clips"
            )
        tell_lost_path(built.dataloader.dataset)
        return self._checked(built)

    def build_val_loop(self, loop: Any) -> Any:
        """MMEngine's, after checking the heads' classes against the data."""
        loop = super().build_val_loop(loop)
        return self._checked(loop, loop.evaluator)

    def build_test_loop(self, loop: Any) -> Any:
        """MMEngine's, after checking the heads' classes against the data.

        Where the labels of the whole split are hidden (H2O's test split), nothing is
        scored: the predictions are what a test is for.
        """
        loop = super().build_test_loop(loop)
        self._checked(loop, loop.evaluator)
        dataset = loop.dataloader.dataset
        if isinstance(dataset, HidesLabels) and not dataset.has_labels:
            self.logger.warning(
                "the labels of this split are hidden: no accuracy; use --dump"
            )
            loop.evaluator = Evaluator([])
        return loop

    def _checked(self, loop: Any, evaluator: Evaluator | None = None) -> Any:
        dataset = loop.dataloader.dataset
        check_num_classes(self.bare_model, dataset)
        check_skeletons(self.bare_model, dataset)
        for metric in evaluator.metrics if evaluator is not None else ():
            if isinstance(metric, ReadsDataset):
                metric.set_dataset(dataset)
        return loop

    @property
    def was_stopped(self) -> bool:
        """True after a training that a hook has ended with its state saved."""
        loop = self._train_loop
        return isinstance(loop, ResumableTrainLoop) and loop.was_stopped

    @property
    def exit_code(self) -> int:
        """0, or what GracefulStopHook asks for after a stop."""
        hooks = [hook for hook in self.hooks if isinstance(hook, GracefulStopHook)]
        return max([hook.exit_code for hook in hooks if self.was_stopped], default=0)

    @property
    def bare_model(self) -> nn.Module:
        """The model without its distributed wrapper."""
        return self.model.module if is_model_wrapper(self.model) else self.model

    def _maybe_compile(self, target: str) -> None:
        """Compile the parts of the model: encoders, neck and heads, one by one.

        MMEngine compiles ``target``, the whole training step with its data samples,
        which are Python objects and make torch compile anew again and again.
        """
        options = self.cfg.get("compile")
        if options:
            for part in parts_of(self.bare_model):
                compile_module(part, **({} if options is True else options))

    def train(self) -> nn.Module:
        """MMEngine's, where nothing is overwritten that is not of this run.

        Processes that are lost meanwhile are named.
        """
        if is_main_process():
            WorkDirLock(self.work_dir)  # held until the process ends
        check_begin(Path(self.work_dir), self.cfg, resumed=bool(self._resume))
        with self._processes():
            return super().train()

    def val(self) -> dict:
        """MMEngine's; processes that are lost meanwhile are named."""
        with self._processes():
            return super().val()

    def test(self) -> dict:
        """MMEngine's; processes that are lost meanwhile are named."""
        with self._processes():
            return super().test()

    @contextmanager
    def _processes(self) -> Iterator[None]:
        """Name those that are lost meanwhile, and end the loaders' behind it."""
        try:
            with lost_process_named():
                yield
        finally:
            for loop in (self._train_loop, self._val_loop, self._test_loop):
                loader = getattr(loop, "dataloader", None)
                if isinstance(loader, WatchedLoader):
                    loader.end()

    def dump_config(self) -> None:
        """Write the config of a test beside its log.

        That of training goes into the work folder, once it is known that it can run.
        """
        if self._train_loop is None:
            self._write_config(self._log_dir)

    def _write_config(self, folder: str) -> None:
        """Without the variables that its files made it of: they do nothing any more."""
        if is_main_process():
            config = copy.deepcopy(self.cfg)
            for key in config.to_dict().keys() - known_keys():
                config.pop(key)
            path = Path(folder, config_name(self.cfg))
            text = f"{CONFIG_MARK}\n{config_text(config)}"
            write_atomic(path, text.encode())

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict | None = None,
        by_epoch: bool = True,
        backend_args: dict | None = None,
    ) -> None:
        """Write the whole state of the run to ``out_dir/filename``.

        Every rank must call it: random states are gathered, the first rank writes, and
        if that fails, all ranks raise.

        Args:
            out_dir: local folder.
            filename: name in it.
            file_client_args: refused; only local files can be renamed atomically.
            save_optimizer: False leaves out all that only a resumed run needs.
            save_param_scheduler: False leaves the schedulers out.
            meta: more plain values for ``meta``; ``epoch`` and ``iter`` in it (as
                MMEngine's CheckpointHook gives them) replace the loop's position.
            by_epoch: not used; there for MMEngine's hooks.
            backend_args: refused like ``file_client_args``.
        """
        if file_client_args is not None or backend_args is not None:
            raise CheckpointError(
                "checkpoints are written to local folders only, got "
                f"file_client_args={file_client_args}, backend_args={backend_args}"
            )
        checkpoint = collect_state(
            self, meta or {}, resumable=save_optimizer, schedule=save_param_scheduler
        )
        self.call_hook("before_save_checkpoint", checkpoint=checkpoint)
        write_on_main(lambda: save_atomic(checkpoint, Path(out_dir) / filename))

    def stateful_hooks(self) -> dict[str, Any]:
        """Hooks that carry a state, by class name; twins are numbered."""
        found: dict[str, Any] = {}
        for hook in self.hooks:
            if isinstance(hook, StatefulHook):
                name, count = type(hook).__name__, 1
                while name in found:
                    count += 1
                    name = f"{type(hook).__name__}_{count}"
                found[name] = hook
        return found

    def load_or_resume(self) -> None:
        """Load or resume what the config asks for; a damaged file is passed over.

        With ``resume=True`` and no ``load_from``, or ``resume='newest'``, the newest
        checkpoint of the work folder that can be read is taken; ``resume`` may also be
        a path. Files but none readable is an error: a run never starts again from
        nothing in silence. A config that trains is then known to be one that can, and
        is written into the work folder.
        """
        path = self._load_from
        if isinstance(self._resume, str) and self._resume != "newest":
            path = self._resume
        elif self._resume and (path is None or self._resume == "newest"):
            path = newest_checkpoint(self.work_dir, self.logger)
            if path is None:
                self.logger.info(f"nothing to resume in {self.work_dir}")
                path, self._resume = self._load_from, False
        if path is not None and not self._has_loaded:
            barrier()  # no rank writes before all have chosen the same file
            if self._resume:
                self.resume(str(path))
            else:
                self.load_checkpoint(str(path))
        if self._train_loop is not None:
            self._write_config(self.work_dir)

    def load_checkpoint(
        self,
        filename: str,
        map_location: str | Callable = "cpu",
        strict: bool = True,
        revise_keys: list = [],  # noqa: B006 (MMEngine's signature)
    ) -> dict[str, Any]:
        """Put the weights of a checkpoint into the model.

        Args:
            filename: what :func:`mmfusion.weights.fetch` takes: a checkpoint of
                ours, or one that a backbone's authors published.
            map_location: device to read to.
            strict, revise_keys: MMEngine's; anything but strict loading is refused.

        Returns:
            The whole checkpoint.
        """
        if revise_keys or not strict:
            raise CheckpointError(
                f"revise_keys={revise_keys} and strict={strict} are not supported; name"
                " what may differ in init_cfg = dict(type='Pretrained', ignore=[...])"
            )
        checkpoint = load_checked(fetch(filename), str(map_location))
        return self._put_in(checkpoint, filename)

    def _put_in(self, checkpoint: dict[str, Any], filename: str) -> dict[str, Any]:
        """Put the weights of what ``filename`` holds into the model.

        Hooks are given all weights by the model's own keys: an EMA of published ones
        starts from them, too.
        """
        if not isinstance(checkpoint.get("meta"), dict):
            checkpoint = {**checkpoint, "meta": {}}
        weights, report = fit(unwrap(checkpoint, filename), self.bare_model, filename)
        checkpoint["state_dict"] = {**self.bare_model.state_dict(), **weights}
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        self.bare_model.load_state_dict(checkpoint["state_dict"])
        self._has_loaded = True
        self.logger.info(f"{filename}: {report}")
        return checkpoint

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | Callable = "cpu",
    ) -> None:
        """Continue the run that wrote ``filename``, under the config as it is now.

        Args:
            filename: a checkpoint of ours, resumable.
            resume_optimizer, resume_param_scheduler: MMEngine's; True.
            map_location: device to read to.

        Raises:
            ConfigError: the config was edited where a run that goes on cannot follow.
        """
        if not (resume_optimizer and resume_param_scheduler):
            raise CheckpointError(
                f"{filename}: a run is resumed as a whole; to start from its weights,"
                " use load_from without resume"
            )
        checkpoint = load_checked(fetch(filename), str(map_location), own=True)
        meta = checkpoint.get("meta") or {}
        check_resumable(meta, filename)
        self._put_in(checkpoint, filename)
        edits = config_edits(json.loads(meta["settings"]), comparable_config(self.cfg))
        if self._resume is True:  # MMEngine's way: load_from says where it goes on
            edits.pop("load_from", None)
        continue_run(self, checkpoint, edits)
        self.resumed_from = Path(filename)
        self.logger.info(
            f"resumed {filename}: epoch {self.epoch}, iteration {self.iter}"
        )
