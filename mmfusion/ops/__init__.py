"""Selective scans and the causal convolution: plain functions, several backends."""

from mmfusion.ops.backends import ScanInputs, available_backends, scan_backend
from mmfusion.ops.causal_conv1d import causal_conv1d, causal_conv1d_update
from mmfusion.ops.precision import full_precision
from mmfusion.ops.selective_scan import bidirectional_scan, selective_scan
from mmfusion.ops.state_update import selective_state_update

__all__ = [
    "ScanInputs",
    "available_backends",
    "bidirectional_scan",
    "causal_conv1d",
    "causal_conv1d_update",
    "full_precision",
    "scan_backend",
    "selective_scan",
    "selective_state_update",
]
