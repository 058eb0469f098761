"""Table 2 of paper A, as counts, and the rows of paper B's tables that are ours.

Each accuracy of paper A is k of 105 clips: these k give the printed digits, differences
and relative differences to rounding (tests/analysis/test_paper.py). Paper B was
tested on the 9,668 validation segments of EPIC-KITCHENS-100, with questions that were
worded from their labels.
"""

import re

from mmfusion.evaluation.functional import mcnemar_bounds, smallest_difference

NUM_CLIPS = 105
# size -> method (as our configs are named) -> clips that were right
CORRECT = {
    "tiny": {
        "cls_mix_average": 65,
        "cls_mix_weighted": 61,
        "video_mamba": 59,
        "cls_mix_naive": 53,
        "cls_mix_context": 53,
        "skeleton_mamba": 28,
    },
    "small": {
        "cls_mix_average": 64,
        "cls_mix_context": 63,
        "cls_mix_naive": 59,
        "cls_mix_weighted": 57,
        "video_mamba": 51,
        "skeleton_mamba": 34,
    },
}
# config -> top-1 of verb, noun and action in Tables 1 and 3 of paper B
PAPER_B = {
    "mambavl_base_ek100": (70.9, 61.1, 49.1),
    "mambavl_large_ek100": (74.3, 67.1, 55.0),
    "mambavl_orvit_ek100": (69.1, 63.9, 48.6),
    "mlp_orvit_ek100": (62.8, 51.6, 39.6),
    "transformer_6x4_orvit_ek100": (62.9, 51.9, 40.0),
    "transformer_12x12_orvit_ek100": (62.5, 51.8, 39.5),
}
# its text names H2O, the caption of its table OakInk2
_CONFIG = re.compile(r"(?P<method>\w+)_(?P<size>tiny|small)_(?:h2o|oakink2)")


def paper_accuracy(config: str) -> float | None:
    """A paper's action top-1, percent, for a config's name; None for no such row."""
    if config in PAPER_B:
        return PAPER_B[config][2]
    found = _CONFIG.fullmatch(config)
    correct = CORRECT[found["size"]].get(found["method"]) if found else None
    return None if correct is None else 100.0 * correct / NUM_CLIPS


def is_of_paper_a(config: str) -> bool:
    """True if the name is of a model of paper A, of any size and on any data."""
    return config.startswith(tuple(CORRECT["tiny"]))


def resolution_of_paper(alpha: float = 0.05) -> str:
    """Differences of the paper to a single stream that its clips can show.

    Only counts are published, so that McNemar's p value lies between two bounds.
    """
    least = smallest_difference(NUM_CLIPS) or 0.0
    parts = [
        _against(baseline, alpha) for baseline in ("skeleton_mamba", "video_mamba")
    ]
    return (
        f"The paper: n = {NUM_CLIPS}, each accuracy is k/{NUM_CLIPS}, one clip is "
        f"{100 / NUM_CLIPS:.2f} points, nothing under {least:.1f} can be shown. "
        f"{'. '.join(parts)}."
    )


def _against(baseline: str, alpha: float) -> str:
    sure: list[float] = []
    possible: list[float] = []
    never: list[float] = []
    for counts in CORRECT.values():
        for method, correct in counts.items():
            if method.startswith("cls_mix"):
                low, high = mcnemar_bounds(correct, counts[baseline], NUM_CLIPS)
                points = 100 * (correct - counts[baseline]) / NUM_CLIPS
                kind = sure if high < alpha else possible if low < alpha else never
                kind.append(points)
    kinds = {
        "significant whichever clips they were": sure,
        "open, as the clips are not published": possible,
        "too small in any case": never,
    }
    shown = [f"{_counted(points)} {text}" for text, points in kinds.items() if points]
    return f"Fusion minus {baseline.removesuffix('_mamba')}: {', '.join(shown)}"


def _counted(points: list[float]) -> str:
    ends = {f"{min(points):+.1f}", f"{max(points):+.1f}"}
    return f"{len(points)} ({' to '.join(sorted(ends, key=float))})"
