"""The one place that mends MMAction2 1.2.0, so that ``mmaction.models`` imports.

Its wheel lacks ``mmaction/models/localizers/drn`` and, where ``transformers`` is
installed, it pulls in VindLU, which needs packages of 2023. A stand-in for the first
and switching the second off leave its 77 other models available.
"""

import sys
import types
import warnings

_DRN = "mmaction.models.localizers.drn"


def mend_mmaction() -> None:
    """Make ``import mmaction.models`` possible; cheap, and safe to call twice.

    Raises:
        ImportError: MMAction2 is not installed; the message says how to install it.
    """
    if f"{_DRN}.drn" in sys.modules:
        return
    # mmcv-lite has no compiled ops, says so on import, and nothing here uses them
    warnings.filterwarnings(
        "ignore", "Fail to import ``MultiScaleDeformableAttention``"
    )
    try:
        from mmaction.utils import dependency
    except ImportError as error:
        raise ImportError(
            f"mmfusion's registries extend MMAction2's, not importable ({error});"
            " install it by: pip install -r requirements/runtime.txt"
        ) from error
    dependency.WITH_MULTIMODAL = False
    package = types.ModuleType(_DRN)
    package.__path__ = []  # an empty package
    module = types.ModuleType(f"{_DRN}.drn")
    vars(module)["DRN"] = type("DRN", (), {"__doc__": "Stand-in of a localizer."})
    sys.modules[_DRN] = package
    sys.modules[f"{_DRN}.drn"] = module
