"""Accuracy of fused models without a stream, as a page shows it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmfusion.analysis.page_methods import Method, in_order, stream_name
from mmfusion.utils.errors import WorkDirError
from mmfusion.utils.text_files import read_json
from mmfusion.visualization.report import TextTable

RELIANCE_NOTES = (
    "“Absent”: as where the stream’s file is missing, which the model was not trained"
    " for. “Swapped”: the stream is that of another clip, so that it contradicts what"
    " is left. If accuracy stays, the model does not need the stream.",
)
_HEAD = (
    *("model: what it keeps", "the other streams", "right (%)", "95 % interval"),
    *("minus all", "p, Holm"),
)


def reliance_table(methods: Sequence[Method], task: str) -> TextTable | None:
    """Rows of each model whose run has a ``reliance/reliance.json``; None without."""
    rows = [
        row
        for method in methods
        if method.first.reliance_path.is_file()
        for row in _rows(method, task)
    ]
    return TextTable(_HEAD, tuple(rows)) if rows else None


def _rows(method: Method, task: str) -> Iterator[tuple[str, ...]]:
    path = method.first.reliance_path
    content = read_json(path, error_type=WorkDirError)
    try:
        own = [table for table in content if table["task"] == task]
        for number, table in enumerate(own):
            for one in table["results"]:
                if one["minus_all"] or number == 0:  # all streams: the same each time
                    yield _row(method.name, table["way"], one)
    except (KeyError, TypeError) as error:
        raise WorkDirError(
            f"{path} is no table of stream reliance ({error!r}); delete it, or write it"
            " again by tools/analysis/stream_reliance.py"
        ) from None


def _row(name: str, way: str, one: Mapping[str, Any]) -> tuple[str, ...]:
    kept = " + ".join(stream_name(stream) for stream in in_order(one["kept"]))
    top1, gap = one["accuracy"], one["minus_all"]
    ends = f"{top1['low']:.1f} to {top1['high']:.1f}"
    start = (f"{name}: {kept}", way if gap else "—", f"{top1['mean']:.1f}", ends)
    if not gap:
        return (*start, "", "")
    return (*start, f"{gap['mean']:+.1f}", f"{one['p_holm']:.3f}")
