"""MMAction2's annotation files, read as they are."""

from collections.abc import Mapping


def read_mmaction(
    path: str,
    ann_format: str,
    *,
    split: str | None,
    num_classes: Mapping[str, int],
    options: Mapping,
) -> tuple[dict, list[dict]]:
    """Read one of MMAction2's four formats."""
    raise ValueError(f"ann_format is {ann_format!r}; expected 'mmfusion'")
