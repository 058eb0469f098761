"""Table 2 of paper A, as counts.

Each of its accuracies is k of 105 clips: these k give the printed digits, differences
and relative differences to rounding (tests/tools/analysis/test_paper.py).
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
# its text names H2O, the caption of its table OakInk2
_CONFIG = re.compile(r"(?P<method>\w+)_(?P<size>tiny|small)_(?:h2o|oakink2)")


def paper_accuracy(config: str) -> float | None:
    """The paper's top-1 in percent for a config's name; None if it has no such row."""
    found = _CONFIG.fullmatch(config)
    correct = CORRECT[found["size"]].get(found["method"]) if found else None
    return None if correct is None else 100.0 * correct / NUM_CLIPS


def resolution_of_paper(alpha: float = 0.05) -> str:
    """Which of the paper's differences to a single stream its clips can show.

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
    sure, possible, never = [], [], []
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
