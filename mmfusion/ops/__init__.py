"""Selective scans and the causal convolution: plain functions, several backends."""

from mmfusion.ops.backends import available_backends, scan_backend
from mmfusion.ops.causal_conv1d import causal_conv1d
from mmfusion.ops.selective_scan import (
    ScanInputs,
    bidirectional_scan,
    selective_scan,
)

__all__ = [
    "ScanInputs",
    "available_backends",
    "bidirectional_scan",
    "causal_conv1d",
    "scan_backend",
    "selective_scan",
]
