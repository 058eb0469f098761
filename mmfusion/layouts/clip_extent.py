"""One rule for a clip in its video, for converters, dataset and samplers."""

SLACK_SECONDS = 0.5  # labels may end a few frames after the last one, shown until then


def outside_video(start: float, end: float | None, duration: float) -> str | None:
    """Reason why a clip does not lie within a video of so many seconds, or None.

    It lies within where it ends at most SLACK_SECONDS after the video; where ``end`` is
    None, the video's, it must begin before.
    """
    if start >= duration + (SLACK_SECONDS if end is not None else 0):
        return f"it starts at {start:g} s and its video ends at {duration:g} s"
    if end is not None and end > duration + SLACK_SECONDS:
        return f"it ends at {end:g} s and its video at {duration:g} s"
    return None
