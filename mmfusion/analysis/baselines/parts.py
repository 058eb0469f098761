"""Parts of a sum: the models of each stream alone beside a fusion of them."""

from collections.abc import Sequence

from mmfusion.analysis.experiments import Experiment


def single_of(
    stream: str, fusion: Experiment | None, group: Sequence[Experiment]
) -> Experiment | None:
    """The model of one stream alone that late fusion adds for a fusion.

    The fusion's own stage 1 comes first, then the first model with the same encoder,
    then the first of that stream; None where the table has none.
    """
    alone = [one for one in group if one.streams == (stream,)]
    if fusion is not None:
        stage1 = [
            name
            for key, name in fusion.stage1.items()
            if key.startswith(f"model.encoders.{stream}.")
        ]
        same = fusion.encoders.get(stream)
        alone.sort(
            key=lambda one: (one.name not in stage1, one.encoders.get(stream) != same)
        )
    return alone[0] if alone else None


def sums_of(
    group: Sequence[Experiment],
) -> dict[tuple[str, ...], list[Experiment | None]]:
    """By the streams of a sum, the fusions that see the same; None without any."""
    found: dict[tuple[str, ...], list[Experiment | None]] = {}
    for one in group:
        if len(one.streams) > 1:
            found.setdefault(tuple(sorted(one.streams)), []).append(one)
    single = sorted({one.streams[0] for one in group if len(one.streams) == 1})
    if not found and len(single) > 1:
        found[tuple(single)] = [None]
    return found


def late_parts(group: Sequence[Experiment]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Streams of every late fusion, by the names of the models that it adds."""
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for streams, fusions in sums_of(group).items():
        for fusion in fusions:
            alone = [single_of(stream, fusion, group) for stream in streams]
            parts = tuple(one.name for one in alone if one is not None)
            if len(parts) == len(streams):
                found[parts] = streams
    return found
