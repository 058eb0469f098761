"""A trained model as one folder that can be mailed, or put on the hub.

It has the weights (``model.safetensors``), the card as data (``config.json``: model,
test pipeline, classes, streams, scores), a model card for people (``README.md``), the
tokenizer where the model reads text, and ``manifest.json``. Nothing in it is run.
"""

import copy
import os
from pathlib import Path
from typing import Any

from mmfusion.apis.folder import check_folder, new_folder, read_data, write_json
from mmfusion.apis.loaded import LoadedModel, finish
from mmfusion.apis.model_card import model_card
from mmfusion.engine.launch.config_data import (
    build_model,
    check_model_data,
    check_pipeline_data,
)
from mmfusion.engine.runner.card import check_card
from mmfusion.models.heads.answer_head import AnswerHead
from mmfusion.models.layers.hf_encoder import HFEncoder
from mmfusion.models.protocols import HasEncoders, HasHeads
from mmfusion.utils.errors import CheckpointError, InputError
from mmfusion.utils.hugging_face import load_tokenizer
from mmfusion.utils.paths import write_atomic
from mmfusion.weights import load_checked
from mmfusion.weights.files import tensor_bytes

KIND = "mmfusion model"
WEIGHTS, CONFIG, README, TOKENIZER = (
    "model.safetensors",
    "config.json",
    "README.md",
    "tokenizer",
)


def write_model_folder(
    loaded: LoadedModel,
    out: str | os.PathLike,
    license_id: str | None = None,
    *,
    merged: bool = False,
) -> None:
    """Write a model as one folder; ``load_model(out)`` gives the same scores.

    Args:
        loaded: the model. out: the folder, new or empty. license_id: of the weights,
            as the hub names licences (``apache-2.0``, ``cc-by-nc-4.0``).
        merged: put all weights of published encoders in, adapters folded into them
            (scores to 1e-6; ``loaded.model`` is so, too, then). Without it, those that
            were not trained are read from where they were published.

    Raises:
        InputError: ``out`` has something in it, or there is nothing to merge.
        ConfigError: the model has a part that no registry has.
    """
    card = copy.deepcopy(loaded.card)
    card["classes"] = loaded.classes
    check_model_data(card["model"], loaded.path)
    check_pipeline_data(card["pipeline"], loaded.path)
    notes = _free_of_files(card["model"], loaded, merged)
    with new_folder(out, KIND) as folder:
        _with_tokenizer(card["pipeline"], folder)
        weights = {k: v.clone() for k, v in loaded.model.state_dict().items()}
        write_atomic(folder / WEIGHTS, tensor_bytes(weights))
        write_json(folder / CONFIG, card)
        text = model_card(card, Path(out).resolve().name, license_id, notes)
        write_atomic(folder / README, text.encode())


def _free_of_files(
    config: dict[str, Any], loaded: LoadedModel, merged: bool
) -> list[str]:
    """Write into the config what the model's parts had read from files.

    Returns:
        What the card says of published weights, in the folder or elsewhere.
    """
    model = loaded.model
    encoders = dict(model.encoders) if isinstance(model, HasEncoders) else {}
    published = {k: v for k, v in encoders.items() if isinstance(v, HFEncoder)}
    if merged and not published:
        raise InputError(
            f"{loaded.path}: its encoders are {sorted(encoders)}, none of them a"
            " published model (HFVideoEncoder, TextEncoder); leave --merged out"
        )
    if isinstance(model, HasHeads):
        for task, head in model.heads.items():
            if isinstance(head, AnswerHead):
                config["heads"][task]["class_names"] = list(head.class_names)
    notes = []
    for name, encoder in published.items():
        part = config["encoders"][name]
        source = part.get("pretrained")
        if merged:
            encoder.merge()
            part.pop("tuning", None)
            if part.get("mode") == "tuned":
                part["mode"] = "frozen"
        if not encoder.is_whole:
            notes.append(
                f"Beside this folder, `{name}` needs the weights of `{source}`, which"
                " are read from there; `tools/export.py --merged` puts them in."
            )
            continue
        part |= encoder.config_without_files()
        if source is not None:
            notes.append(
                f"All weights of `{name}` are in this folder. It is made from"
                f" `{source}`, whose licence holds, too."
            )
    return notes


def _with_tokenizer(pipeline: list[dict[str, Any]], folder: Path) -> None:
    """Take the tokenizer of a pipeline along, under a name that is the folder's."""
    for transform in pipeline:
        if transform.get("tokenizer") is not None:
            load_tokenizer(transform["tokenizer"]).save_pretrained(folder / TOKENIZER)
            transform["tokenizer"] = TOKENIZER


def read_model_folder(folder: str | os.PathLike) -> LoadedModel:
    """Load a model from its folder, after comparing every byte of it.

    Raises:
        CheckpointError: a file is missing or changed, or is of another format.
        ConfigError: it names a type that no registry has.
    """
    check_folder(folder, KIND)
    path = Path(folder, CONFIG)
    card = check_card(read_data(path), str(path))
    check_pipeline_data(card["pipeline"], str(path))
    if not card["pipeline"]:
        raise CheckpointError(
            f"{path}: its pipeline is empty, so that nothing says how a video becomes"
            " the model's input; export the model again, from its run"
        )
    for transform in card["pipeline"]:
        if transform.get("tokenizer") == TOKENIZER:
            transform["tokenizer"] = str(Path(folder, TOKENIZER))
    model = build_model(card["model"], str(path))
    weights = Path(folder, WEIGHTS)
    return finish(model, load_checked(weights), card, str(weights))


def push_folder(
    folder: str | os.PathLike, repository: str, *, private: bool = False
) -> str:
    """Put a model folder on the hub, as the user who is logged in there (``hf auth``).

    Args:
        folder: that was written. repository: ``<owner>/<name>``; made where missing.
        private: of a repository that is made.

    Returns:
        The address of the commit.

    Raises:
        InputError: the hub refuses, or cannot be reached.
    """
    check_folder(folder, KIND)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    api = HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=os.fspath(folder),
            commit_message="Add a model of mmfusion",
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"--push {repository}: the hub refuses it, or cannot be reached: {reason}"
        ) from error
    return str(done.commit_url)
