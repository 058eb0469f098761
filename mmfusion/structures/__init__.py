"""Objects that travel between the parts."""

from mmfusion.structures.action_data_sample import (
    MMACTION_LABEL,
    POINTS,
    ActionDataSample,
    main_task,
    of_moments,
)
from mmfusion.structures.foreseen import Foreseen
from mmfusion.structures.forward_pass import ForwardPass
from mmfusion.structures.streams import MASK_SUFFIX
from mmfusion.structures.token_features import (
    TokenFeatures,
    keep_streams,
    match_rows,
    row_repeats,
)

__all__ = [
    "MMACTION_LABEL",
    "MASK_SUFFIX",
    "POINTS",
    "ActionDataSample",
    "Foreseen",
    "ForwardPass",
    "TokenFeatures",
    "keep_streams",
    "main_task",
    "match_rows",
    "of_moments",
    "row_repeats",
]
