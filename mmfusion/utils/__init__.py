"""Small helpers that every part may use."""

from mmfusion.utils.mmaction_compat import mend_mmaction

__all__ = ["mend_mmaction"]
