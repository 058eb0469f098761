"""Objects that travel between the parts."""

from mmfusion.structures.action_data_sample import ActionDataSample
from mmfusion.structures.token_features import TokenFeatures, match_rows, row_repeats

__all__ = ["ActionDataSample", "TokenFeatures", "match_rows", "row_repeats"]
