"""A clip within its video, at the bounds that the rule states."""

import pytest

from mmfusion.layouts.clip_extent import SLACK_SECONDS, outside_video

VIDEO = 5.0


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (0.0, VIDEO, None),
        (4.0, VIDEO + SLACK_SECONDS, None),
        (4.0, VIDEO + SLACK_SECONDS + 0.01, "it ends at 5.51 s and its video at 5 s"),
        (VIDEO, VIDEO + SLACK_SECONDS, None),
        (VIDEO + SLACK_SECONDS, 9.0, "it starts at 5.5 s and its video ends at 5 s"),
        (4.99, None, None),
        (VIDEO, None, "it starts at 5 s and its video ends at 5 s"),
    ],
)
def test_bounds(start: float, end: float | None, said: str | None) -> None:
    assert outside_video(start, end, VIDEO) == said
