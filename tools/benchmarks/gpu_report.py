"""results.json and results.md of gpu.py, written anew with every measurement."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measure import describe, markdown_table, save_json


class Results:
    """Measurements so far, by part.

    Args:
        folder: of the two files. fresh: begin anew, else continue with what is there.
    """

    def __init__(self, folder: Path, fresh: bool = False) -> None:
        self.folder = folder
        self.file = folder / "results.json"
        if fresh:
            self.file.unlink(missing_ok=True)

    def read(self) -> dict[str, Any]:
        return json.loads(self.file.read_text()) if self.file.is_file() else {}

    def update(self, part: str, values: Mapping[str, Any]) -> None:
        """Add to a part's values; one process at a time writes."""
        content = self.read()
        content.setdefault(part, {}).update(values)
        save_json(self.file, content)
        text = render(content)
        (self.folder / "results.md").write_text(text)


def render(content: Mapping[str, Any]) -> str:
    """Everything as Markdown."""
    sections = [
        _machine(content.get("chip", {})),
        _parts(content),
        _tests(content),
        _training(content.get("training", {})),
        _scans(content.get("scans", {}).get("points", {}), content.get("chip", {})),
        _plans(content.get("plans", {}).get("points", {})),
        _steps(content),
        _profile(content.get("models", {}).get("profiles", {})),
        _profile(content.get("plans", {}).get("kernels", {})),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _machine(chip: Mapping[str, Any]) -> str:
    if "machine" not in chip:
        return ""
    lines = [describe(chip["machine"])]
    if "rates" in chip:
        rates = chip["rates"]
        lines.append(
            f"Measured there: copies {rates['copy_gb']:.0f} GB/s (read and written),"
            f" bf16 products {rates['matmul_tflops']:.0f} TFLOP/s,"
            f" exponentials {rates['exp_g']:.0f} G/s."
        )
    return "\n".join(lines)


def _parts(content: Mapping[str, Any]) -> str:
    rows = [
        [name, value["state"], f"{value.get('seconds', 0):.0f}"]
        for name, value in content.items()
        if isinstance(value, dict) and "state" in value
    ]
    return markdown_table(["part", "state", "s"], rows) if rows else ""


def _tests(content: Mapping[str, Any]) -> str:
    lines = []
    for name in ("parity", "mamba_ssm"):
        tests = content.get(name, {}).get("tests")
        if tests:
            counts = ", ".join(f"{k} {v}" for k, v in tests["counts"].items())
            lines.append(f"GPU tests ({name}): {counts}.")
            lines += [f"- not passed: `{test}`" for test in tests["bad"][:30]]
    return "\n".join(lines)


def _training(training: Mapping[str, Any]) -> str:
    runs = [f"- {k}: {v}" for k, v in training.get("runs", {}).items()]
    return "\n".join(["Training TinyEgo:", *runs]) if runs else ""


def _scans(points: Mapping[str, Any], chip: Mapping[str, Any]) -> str:
    """Each road beside the first of its group."""
    rates = chip.get("rates")
    rows = []
    for point in points.values():
        base = point["timed"].get(point["against"])
        for road, timed in point["timed"].items():
            ms = timed["ms"]
            share = "-"
            if rates:
                gb, exp = point["bytes"] / ms / 1e6, point["exps"] / ms / 1e6
                share = f"{gb:.0f} ({gb / rates['copy_gb']:.0%})"
                share += f", {exp:.0f} ({exp / rates['exp_g']:.0%})"
            rows.append(
                [
                    point["part"],
                    str(point["length"]),
                    str(point["channels"]),
                    point["mode"],
                    road,
                    f"{ms:.3f}",
                    f"{timed['eager_ms']:.3f}",
                    "-" if base is None else f"{base['ms'] / ms:.2f}",
                    share,
                    f"{timed['error']:.0e}",
                ]
            )
    if not rows:
        return ""
    header = ["scan", "tokens", "d", "mode", "road", "GPU ms", "eager ms"]
    header += ["times faster than mamba-ssm", "GB/s, G exp/s (of the chip's)", "error"]
    return markdown_table(header, rows)


def _steps(content: Mapping[str, Any]) -> str:
    rows = []
    for part in ("models", "compile"):
        for name, point in content.get(part, {}).get("points", {}).items():
            base = point["timed"].get(point["against"])
            for road, timed in point["timed"].items():
                faster = "-" if base is None else f"{base['ms'] / timed['ms']:.2f}"
                spread = f"{timed['low']:.2f} to {timed['high']:.2f}, n={timed['n']}"
                rows.append(
                    [
                        name,
                        road,
                        f"{timed['ms']:.2f}",
                        spread,
                        f"{timed.get('host_ms', 0):.1f}",
                        faster,
                        f"{timed.get('peak_gb', 0):.2f}",
                        f"{timed.get('error', 0):.0e}",
                    ]
                )
            for road, why in point.get("failed", {}).items():
                rows.append([name, road, "failed", _one_line(why), "-", "-", "-", "-"])
        for name, why in content.get(part, {}).get("failed", {}).items():  # not built
            rows.append([name, "all", "failed", _one_line(why), "-", "-", "-", "-"])
    if not rows:
        return ""
    header = ["training step", "road", "ms", "spread", "ms of Python"]
    header += ["times faster", "peak GB"]
    return markdown_table([*header, "loss off"], rows)


def _plans(points: Mapping[str, Any]) -> str:
    """Cuts of the Triton scan, the fastest of each length and mode first."""
    rows = []
    for point in points.values():
        timed = sorted(point["timed"].items(), key=lambda item: item[1]["ms"])
        for name, values in timed:
            rows.append(
                [
                    str(point["length"]),
                    point["mode"],
                    name,
                    f"{values['ms']:.3f}",
                    f"{values['low']:.3f} to {values['high']:.3f}, n={values['n']}",
                    f"{values['error']:.0e}",
                ]
            )
        for name, why in point["failed"].items():
            rows.append(
                [str(point["length"]), point["mode"], name, "-", _one_line(why), "-"]
            )
    header = ["tokens", "mode", "plan", "GPU ms", "spread", "off the first"]
    return markdown_table(header, rows) if rows else ""


def _one_line(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:160]


def _profile(profiles: Mapping[str, Any]) -> str:
    parts = []
    for name, lines in profiles.items():
        rows = [[f"`{key[:90]}`", f"{ms:.2f}", str(n)] for key, ms, n in lines]
        table = markdown_table(["kernel", "ms a step", "calls"], rows)
        parts.append(f"Where the time goes, {name}:\n\n{table}")
    return "\n\n".join(parts)
