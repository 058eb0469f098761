"""The README of an exported model: a model card in the format of the hub."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmfusion.datasets.transforms.sample_observed_frames import TAU_A
from mmfusion.engine.runner.card import is_of_subset

_LOADED = """\
```python
from mmfusion.apis import load_model

loaded = load_model("{name}")
print(loaded.classes)
```"""
_RUN = """\
```bash
python {script}    # needs no mmfusion; reads example.npz
```"""
_TEMPLATE = """\
---
{{ card_data }}
---

# {name}

{intro}

{use}

## Results

{results}

## Data

{data}

## Input

{inputs}

## Classes

{classes}

## Licence

{licence}
"""


def model_card(
    card: Mapping[str, Any],
    name: str,
    license_id: str | None = None,
    notes: Sequence[str] = (),
    script: str | None = None,
) -> str:
    """Markdown with the hub's YAML in front.

    Args:
        card: of the model. name: of its folder. license_id: as the hub names licences;
            None says that nobody has chosen one.
        notes: further paragraphs about this export, such as its parity. script: of a
            graph's folder, which runs it; None for a folder that ``load_model`` takes.
    """
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    results = [
        EvalResult(
            task_type="video-classification",
            dataset_type=card["data"].get("name") or "unknown",
            dataset_name=card["data"].get("name") or "unknown",
            dataset_split=score["split"],
            metric_type="accuracy",
            metric_name=metric,
            metric_value=score["value"],
        )
        for metric, score in _scores(card).items()
        if metric.rpartition("/")[2].startswith("top")
    ]
    about = ModelCardData(
        license=license_id or "other",
        library_name="mmfusion",
        pipeline_tag="video-classification",
        tags=["mmfusion", "action-recognition", *card["streams"]],
        model_name=name,
        eval_results=results or None,
    )
    text = _TEMPLATE.format(
        name=name,
        intro="\n\n".join([_intro(card, script), *notes]),
        use=(_RUN if script else _LOADED).format(name=name, script=script),
        results=_results(card),
        data=_data(card),
        inputs=_inputs(card),
        classes="\n\n".join(
            f"{task} ({len(names)}): {', '.join(names)}"
            for task, names in card["classes"].items()
        ),
        licence=_licence(license_id),
    ).replace("{ card_data }", about.to_yaml())
    return str(ModelCard(text))


def _intro(card: Mapping[str, Any], script: str | None) -> str:
    streams = " and ".join(card["streams"])
    ahead = 0.0
    for step in card["pipeline"]:
        if step["type"].rpartition(".")[2] == "SampleObservedFrames":
            ahead = step.get("tau_a", TAU_A)
    does = f"Anticipates actions {ahead:g} s ahead" if ahead else "Recognises actions"
    text = f"{does} from {streams}. Made with mmfusion {card['mmfusion']}."
    if script is None:
        text += " `config.json` is data: loading this folder runs no code of it."
    return f"{text} `manifest.json` has the sha256 of every file."


def _scores(card: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Metrics, without those that no answer can miss: the top 5 of four classes."""
    sizes = {task: len(names) for task, names in card["classes"].items()}
    kept = {}
    for name, score in card["metrics"].items():
        task, _, kind = name.rpartition("/")
        best = kind.removeprefix("top")
        if not best.isdigit() or int(best) < sizes.get(task, int(best) + 1):
            kept[name] = score
    return kept


def _results(card: Mapping[str, Any]) -> str:
    rows = [
        f"| {name} | {score['value']:.2f} | {_interval(name, score)} |"
        f" {'-' if is_of_subset(name) else score['n']} | {score['split']} |"
        for name, score in _scores(card).items()
    ]
    if not rows:
        return "No scores are in the checkpoint."
    head = ["| metric | % | 95 % interval | clips | split |", "|---|---|---|---|---|"]
    lines = [*head, *rows, ""]
    chance = [
        f"{task} {100 / len(names):.1f} %"
        for task, names in card["classes"].items()
        if any(f"/{name}".endswith(f"/{task}/top1") for name in card["metrics"])
    ]
    if chance:
        lines.append(f"A guess is right by chance, in top1: {'; '.join(chance)}.")
    if any("/leak/" in name for name in card["metrics"]):
        lines.append(
            "A line with `leak` is the accuracy of a reader of the questions alone."
        )
    lines.append(
        "The checkpoint was chosen by the score on this split, so that a test on other"
        " clips will most likely be lower."
    )
    return "\n".join(lines)


def _interval(name: str, score: Mapping[str, Any]) -> str:
    if score["low"] is None or is_of_subset(name):  # older cards have one of all clips
        return "-"
    return f"{score['low']:.1f} to {score['high']:.1f}"


def _data(card: Mapping[str, Any]) -> str:
    data = card["data"]
    sizes = data.get("splits") or {}
    splits = ", ".join(f"{n} clips of {name}" for name, n in sizes.items())
    text = f"{data.get('name') or 'Not named'}: {splits or 'sizes are not known'}."
    if data.get("question_source"):
        text += f" Questions: {data['question_source']}."
    return text


def _inputs(card: Mapping[str, Any]) -> str:
    steps = ", ".join(transform["type"] for transform in card["pipeline"])
    text = f"Steps of the pipeline: {steps or 'not known'}."
    if card["skeleton"]:
        text += f" Skeletons: {card['skeleton']}."
    return text


def _licence(license_id: str | None) -> str:
    code = "The code of mmfusion is under Apache-2.0."
    if license_id:
        return f"The weights: {license_id}. {code}"
    return (
        "Nobody has chosen a licence for these weights; that of the data that they were"
        f" trained on may bind them. {code}"
    )
