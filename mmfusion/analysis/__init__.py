"""Analyses of configs and runs: operations, learning rates, tables over seeds."""

from mmfusion.analysis.experiments import Experiment, Run, plan, read_config
from mmfusion.analysis.flops import count_config, count_flops, num_parameters
from mmfusion.analysis.learning_rates import follow
from mmfusion.analysis.reports import reports_of
from mmfusion.analysis.tables import Grid, Report

__all__ = [
    "Experiment",
    "Grid",
    "Report",
    "Run",
    "count_config",
    "count_flops",
    "follow",
    "num_parameters",
    "plan",
    "read_config",
    "reports_of",
]
