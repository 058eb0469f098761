"""The HTML page about trained models: parts, charts, and the file made of them."""

from mmfusion.visualization.report.charts import Series, calibration_chart, line_chart
from mmfusion.visualization.report.page import (
    AnswerCell,
    Chart,
    ClipCard,
    ClipGroup,
    Command,
    DataPart,
    ModelPart,
    Page,
    PairRow,
    PlainRow,
    SplitRow,
    TextTable,
    picture_uri,
    render,
)

__all__ = [
    "AnswerCell",
    "Chart",
    "ClipCard",
    "ClipGroup",
    "Command",
    "DataPart",
    "ModelPart",
    "Page",
    "PairRow",
    "PlainRow",
    "Series",
    "SplitRow",
    "TextTable",
    "calibration_chart",
    "line_chart",
    "picture_uri",
    "render",
]
