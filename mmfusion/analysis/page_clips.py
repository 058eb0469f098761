"""Clips of a page, and the weights that models give their streams in them."""

from collections.abc import Mapping, Sequence

from mmfusion.analysis.clip_strips import ClipStrips
from mmfusion.analysis.page_methods import Method, in_order, stream_name
from mmfusion.analysis.stream_weights import same_everywhere
from mmfusion.evaluation.agreement import ClipTable
from mmfusion.visualization.report import AnswerCell, ClipCard, ClipGroup, TextTable

_CARDS, _WORST = 4, 6  # clips shown under a heading


def alpha_table(methods: Sequence[Method], table: ClipTable) -> TextTable | None:
    """Mean weight and its range, by model and true class where clips differ."""
    rows = []
    for method in methods:
        if not method.weights:
            continue
        streams = in_order(next(iter(method.weights.values())))
        labels = dict(zip(table.ids, table.answers[method.name].labels, strict=True))
        groups: dict[str, list[dict[str, float]]] = {"all clips": []}
        for name, weights in method.weights.items():
            groups["all clips"].append(weights)
            if name in labels and not same_everywhere(method.weights):
                label = table.answers[method.name].name(int(labels[name]))
                groups.setdefault(label, []).append(weights)
        for title, found in groups.items():
            cells = [_spread([one[stream] for one in found]) for stream in streams]
            text = ", ".join(
                f"{stream_name(stream)} {cell}"
                for stream, cell in zip(streams, cells, strict=True)
            )
            rows.append((f"{method.name}: {title}", str(len(found)), text))
    if not rows:
        return None
    return TextTable(("model: true class", "clips", "weight in % (range)"), tuple(rows))


def _spread(values: Sequence[float]) -> str:
    mean = sum(values) / len(values)
    low, high = min(values), max(values)
    return f"{mean:.0f}" if high - low < 1 else f"{mean:.0f} ({low:.0f} to {high:.0f})"


def alone_groups(
    methods: Sequence[Method], table: ClipTable, strips: ClipStrips | None
) -> list[ClipGroup]:
    """Clips of one stream alone, among the streams, then those of one fusion alone."""
    single = tuple(one.name for one in methods if len(one.result.streams) == 1)
    groups = []
    if len(methods) > 1:
        for method in methods:
            is_single = method.name in single and len(single) > 1
            among = single if is_single else table.models
            places = table.only_right(method.name, among=among)
            of = "of the single streams, " if is_single and len(methods) > 2 else ""
            title = f"{of}only {method.name} is right"
            cards = _cards(methods, table, places[:_CARDS], strips)
            groups.append(ClipGroup(title[0].upper() + title[1:], len(places), cards))
    return groups


def worst_group(
    methods: Sequence[Method], table: ClipTable, strips: ClipStrips | None
) -> ClipGroup | None:
    places = table.worst()
    if not places:
        return None
    title = "Clips that some model gets wrong, the least likely label first"
    return ClipGroup(
        title, len(places), _cards(methods, table, places[:_WORST], strips)
    )


def _cards(
    methods: Sequence[Method],
    table: ClipTable,
    places: Sequence[int],
    strips: ClipStrips | None,
) -> tuple[ClipCard, ...]:
    cards = []
    for place in places:
        clip = table.clip(place)
        picture, note = strips.strip(clip.id) if strips else (None, "")
        answers = tuple(
            AnswerCell(
                method.name,
                method.colour,
                clip.models[method.name].answer,
                clip.models[method.name].correct,
                clip.models[method.name].confidence,
                tuple(_named(method.weights.get(clip.id, {}), method)),
            )
            for method in methods
        )
        cards.append(ClipCard(clip.id, clip.label, answers, picture, note))
    return tuple(cards)


def _named(weights: Mapping[str, float], method: Method) -> list[tuple[str, float]]:
    """Weights of a clip; none where they are the same for every clip."""
    if same_everywhere(method.weights):
        return []
    return [(stream_name(name), weights[name]) for name in in_order(weights)]
