from pathlib import Path

import pytest

from mmfusion.analysis.baselines.parts import late_parts
from mmfusion.analysis.experiments import Experiment


def made(name, stage1=(), **encoders):
    keys = {f"model.encoders.{s}.init_cfg.checkpoint": to for s, to in stage1}
    streams = tuple(encoders)
    return Experiment(Path(f"{name}.py"), {}, keys, streams, encoders, 1, {})


RGB, RGB2 = made("rgb", video="VideoMamba"), made("rgb2", video="Conv")
GRAPH, HANDS = made("graph", skeleton="Graph"), made("hands", skeleton="Mamba")
BOTH = dict(video="VideoMamba", skeleton="Mamba")


@pytest.mark.parametrize(
    ("group", "parts"),
    [
        ([GRAPH, HANDS, RGB, made("mix", **BOTH)], [("hands", "rgb")]),
        ([HANDS, RGB2, made("mix", **BOTH)], [("hands", "rgb2")]),
        (
            [RGB, RGB2, HANDS, made("mix", [("video", "rgb2")], **BOTH)],
            [("hands", "rgb2")],
        ),
        ([HANDS, made("mix", **BOTH)], []),
        ([HANDS, RGB], [("hands", "rgb")]),
        ([HANDS], []),
    ],
    ids=["encoder", "first", "stage-1", "lacks", "no-fusion", "one"],
)
def test_the_parts_of_a_sum(group, parts):
    assert [*late_parts(group)] == parts
