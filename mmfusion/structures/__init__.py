"""The two objects that travel between the parts."""

from mmfusion.structures.action_data_sample import ActionDataSample
from mmfusion.structures.token_features import TokenFeatures

__all__ = ["ActionDataSample", "TokenFeatures"]
