"""Objects that travel between the parts."""

from mmfusion.structures.action_data_sample import ActionDataSample
from mmfusion.structures.streams import MASK_SUFFIX
from mmfusion.structures.token_features import TokenFeatures, match_rows, row_repeats

__all__ = [
    "MASK_SUFFIX",
    "ActionDataSample",
    "TokenFeatures",
    "match_rows",
    "row_repeats",
]
