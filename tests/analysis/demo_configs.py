"""Configs of the demo: two streams and their fusion."""

from pathlib import Path

DEMO = Path(__file__).resolve().parents[2] / "configs" / "demo"
VIDEO, SKELETON, AVERAGE = (
    DEMO / f"{name}_nano_tinyego.py"
    for name in ("video_mamba", "skeleton_mamba", "cls_mix_average")
)
