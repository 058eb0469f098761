"""Every registry of mmfusion, each a child of MMAction2's of the same name.

A type that mmfusion lacks is looked for in MMAction2 and then in MMEngine, so
``mmaction.STGCN`` or ``mmaction.Resize`` work in a config as they are. One registry
exists here for each of MMEngine's, because it warns for each that a scope lacks.
"""

from mmfusion.utils.mmaction_compat import mend_mmaction
from mmfusion.utils.mmengine_compat import keep_init_weights_quiet

mend_mmaction()
keep_init_weights_quiet()

from mmaction import registry as mmaction  # noqa: E402
from mmengine.registry import Registry  # noqa: E402


def _child(parent: Registry, *packages: str) -> Registry:
    """A registry of ours under ``parent``, filled by importing ``packages``."""
    return Registry(
        parent.name,
        parent=parent,
        scope="mmfusion",
        locations=[f"mmfusion.{package}" for package in packages],
    )


RUNNERS = _child(mmaction.RUNNERS, "engine")
RUNNER_CONSTRUCTORS = _child(mmaction.RUNNER_CONSTRUCTORS, "engine")
LOOPS = _child(mmaction.LOOPS, "engine")
HOOKS = _child(mmaction.HOOKS, "engine")
DATASETS = _child(mmaction.DATASETS, "datasets")
DATA_SAMPLERS = _child(mmaction.DATA_SAMPLERS, "datasets")
TRANSFORMS = _child(mmaction.TRANSFORMS, "datasets", "hands")
MODELS = _child(mmaction.MODELS, "models")
MODEL_WRAPPERS = _child(mmaction.MODEL_WRAPPERS, "engine")
WEIGHT_INITIALIZERS = _child(mmaction.WEIGHT_INITIALIZERS, "weights")
OPTIMIZERS = _child(mmaction.OPTIMIZERS, "engine")
OPTIM_WRAPPERS = _child(mmaction.OPTIM_WRAPPERS, "engine")
OPTIM_WRAPPER_CONSTRUCTORS = _child(mmaction.OPTIM_WRAPPER_CONSTRUCTORS, "engine")
PARAM_SCHEDULERS = _child(mmaction.PARAM_SCHEDULERS, "engine")
METRICS = _child(mmaction.METRICS, "evaluation")
EVALUATOR = _child(mmaction.EVALUATOR, "evaluation")
TASK_UTILS = _child(mmaction.TASK_UTILS, "models")
VISUALIZERS = _child(mmaction.VISUALIZERS, "visualization")
VISBACKENDS = _child(mmaction.VISBACKENDS, "visualization")
LOG_PROCESSORS = _child(mmaction.LOG_PROCESSORS, "engine")
INFERENCERS = _child(mmaction.INFERENCERS, "engine")
FUNCTION = _child(mmaction.FUNCTION, "datasets")

__all__ = [
    "DATASETS",
    "DATA_SAMPLERS",
    "EVALUATOR",
    "FUNCTION",
    "HOOKS",
    "INFERENCERS",
    "LOG_PROCESSORS",
    "LOOPS",
    "METRICS",
    "MODELS",
    "MODEL_WRAPPERS",
    "OPTIMIZERS",
    "OPTIM_WRAPPERS",
    "OPTIM_WRAPPER_CONSTRUCTORS",
    "PARAM_SCHEDULERS",
    "RUNNERS",
    "RUNNER_CONSTRUCTORS",
    "TASK_UTILS",
    "TRANSFORMS",
    "VISBACKENDS",
    "VISUALIZERS",
    "WEIGHT_INITIALIZERS",
]
