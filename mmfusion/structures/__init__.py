"""Objects that travel between the parts."""

from mmfusion.structures.action_data_sample import (
    MMACTION_LABEL,
    ActionDataSample,
    main_task,
)
from mmfusion.structures.streams import MASK_SUFFIX
from mmfusion.structures.token_features import TokenFeatures, match_rows, row_repeats

__all__ = [
    "MMACTION_LABEL",
    "MASK_SUFFIX",
    "ActionDataSample",
    "TokenFeatures",
    "main_task",
    "match_rows",
    "row_repeats",
]
