"""From a folder of one's own clips to trained models and a page about them."""

from mmfusion.analysis.own_clips.data import OwnData, build_data, gather_data
from mmfusion.analysis.own_clips.plan import Plan, TryOptions, make_plan
from mmfusion.analysis.own_clips.runs import page_of, runs_of
from mmfusion.analysis.own_clips.stages import run_stages

__all__ = [
    "OwnData",
    "Plan",
    "TryOptions",
    "build_data",
    "gather_data",
    "make_plan",
    "page_of",
    "run_stages",
    "runs_of",
]
