"""Selective scans and what surrounds them: plain functions, several backends."""

from mmfusion.ops.add_norm import add_rms_norm
from mmfusion.ops.backends import (
    InnerParameters,
    ScanInputs,
    available_backends,
    scan_backend,
)
from mmfusion.ops.causal_conv1d import causal_conv1d, causal_conv1d_update
from mmfusion.ops.coupled_scan import (
    coupled_scan,
    coupled_scan_flops,
    coupled_scan_reference,
)
from mmfusion.ops.linear import linear
from mmfusion.ops.mamba_inner import mamba_inner, project
from mmfusion.ops.precision import full_precision
from mmfusion.ops.selective_scan import (
    bidirectional_scan,
    selective_scan,
    selective_scan_with_state,
)
from mmfusion.ops.ssd import ssd, ssd_reference, ssd_state_update
from mmfusion.ops.state_update import selective_state_update

__all__ = [
    "InnerParameters",
    "ScanInputs",
    "add_rms_norm",
    "available_backends",
    "bidirectional_scan",
    "causal_conv1d",
    "causal_conv1d_update",
    "coupled_scan",
    "coupled_scan_flops",
    "coupled_scan_reference",
    "full_precision",
    "linear",
    "mamba_inner",
    "project",
    "scan_backend",
    "selective_scan",
    "selective_scan_with_state",
    "selective_state_update",
    "ssd",
    "ssd_reference",
    "ssd_state_update",
]
