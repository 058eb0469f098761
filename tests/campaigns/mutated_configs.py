"""Configs with one mistake each, checked and built as a tool does before it trains.

A trial takes one of our configs, puts one mistake into it, and lets the tools' own
steps judge it: the file is read and checked; model, optimizer, schedulers, hooks,
metrics and the transforms of every pipeline are built; heads are compared with classes.
The mistakes: a letter of a key at any depth is dropped, doubled, swapped or changed
(``LEGAL`` lists the dicts that take any name, with the reason); a value has another
kind; a size is negative; a type is misspelt; a needed key is gone; an option names such
a key; a variable is set for nothing; a base inherits itself.

What must hold: the mistake is refused by one line (by MMFusionError, or as the tools
explain an error of building), which has the key, file, or name in question; nothing
passes in silence.
"""

import copy
import functools
import logging
import re
import string
from pathlib import Path
from types import SimpleNamespace

import torch
from mmengine.config import Config, ConfigDict

from mmfusion.datasets.error_policy import ErrorPolicy
from mmfusion.engine.launch.config_check import (
    check_config,
    check_num_classes,
    load_config,
    walk,
)
from mmfusion.engine.launch.start import _explained
from mmfusion.registry import (
    HOOKS,
    METRICS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
)
from tests.campaigns.campaign import main

ROOT = Path(__file__).parents[2] / "configs"
NAMES = (
    "demo/cls_mix_context_nano_tinyego",
    "demo/skeleton_mamba_nano_tinyego",
    "mambavl/transformer_nano_tinyego_informative",
    "mambavl/mambavl_skeleton_nano_tinyego_informative",
    "mambavl/video_only_nano_tinyego_anticipation",
    "unimodal/skeleton_mamba_nano_natops",
)
LEGAL = {
    r"typo_in_a_key default_hooks\.\w+": "a hook of one's own, by a name not close",
    r"missing_key (val_cfg|test_cfg|optim_wrapper|log_processor)\.type": "a default",
    r"typo_in_a_key .*custom_keys\..*": "in the name of another parameter",
    r"misspelt_type .*": "the name of another class",
}
_PARTS = ("train", "val", "test")


@functools.cache
def clean(name):
    """The config as plain values with text in place of classes, and its classes."""
    config = load_config(ROOT / f"{name}.py")
    plain = config.to_dict()
    known = {key: plain[key] for key in plain if not _is_variable(key)}
    for encoder in known["model"]["encoders"].values():
        if encoder["type"].endswith("TextEncoder"):  # no files of words here
            encoder.update(mode="embeddings", pretrained=None)
            encoder["hf_config"] = dict(
                model_type="roberta",
                hidden_size=64,
                vocab_size=9,
                num_hidden_layers=1,
                num_attention_heads=2,
            )
    classes = {
        task: [str(number) for number in range(head["num_classes"])]
        for task, head in known["model"]["heads"].items()
    }
    return known, classes


def _is_variable(key):
    return key.startswith("_") or key.endswith("_pipeline") or key in VARIABLES


VARIABLES = ("num_frames", "data_root")


def judge(config, classes):
    """Check and build all parts but the data; raises what a tool would explain."""
    check_config(config)
    model = MODELS.build(copy.deepcopy(config.model))
    check_num_classes(model, SimpleNamespace(metainfo={"classes": classes}))
    wrapper = copy.deepcopy(config.optim_wrapper)
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.get(wrapper.pop("constructor"))
    paramwise = wrapper.pop("paramwise_cfg", None)
    optimizer = constructor(wrapper, paramwise)(model).optimizer
    for scheduler in config.param_scheduler:
        extra = dict(optimizer=optimizer, epoch_length=10)
        PARAM_SCHEDULERS.build(copy.deepcopy(scheduler), default_args=extra)
    hooks = [*config.default_hooks.values(), *(config.get("custom_hooks") or [])]
    for hook in copy.deepcopy(hooks):
        hook.pop("priority", None)
        HOOKS.build(hook)
    for evaluator in (config.val_evaluator, config.test_evaluator):
        for metric in evaluator if isinstance(evaluator, list) else [evaluator]:
            METRICS.build(copy.deepcopy(metric))
    for part in _PARTS:
        ErrorPolicy.from_config(
            config[f"{part}_dataloader"].dataset.get("on_error"), test_mode=False
        )
        for step in config[f"{part}_dataloader"].dataset.pipeline:
            if not str(step["type"]).endswith("TokenizeQuestions"):  # needs files
                TRANSFORMS.build(copy.deepcopy(step))


def misspelt(word, random):
    """A word with one letter dropped, doubled, swapped or changed; never the same."""
    while True:
        at = int(random.integers(len(word)))
        letter = random.choice(list(string.ascii_lowercase))
        new = [
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :],
            word[:at] + letter + word[at + 1 :],
        ][random.integers(4)]
        if new and new != word and not new.startswith(("_", " ")):
            return new


def _place(plain, path):
    """The dict or list that holds the last key of a path, and that key."""
    *above, last = path.split("\0")
    node = plain
    for key in above:
        at = int(key) if isinstance(node, list | tuple) else key
        if isinstance(node[at], tuple) and not isinstance(node, tuple):
            node[at] = list(node[at])  # the last one is to be changed
        node = node[at]
    return node, int(last) if isinstance(node, list) else last


def _nodes(plain):
    """(path, value) of everything; keys may have dots."""

    def inner(value, path):
        yield path, value
        items = (
            value.items()
            if isinstance(value, dict)
            else (enumerate(value) if isinstance(value, list | tuple) else ())
        )
        for key, item in items:
            yield from inner(item, [*path, str(key)])

    return [("\0".join(path), value) for path, value in inner(plain, []) if path]


def typo_in_a_key(plain, random):
    """A misspelt key at any depth."""
    paths = [path for path, _ in _nodes(plain) if not path.split("\0")[-1].isdigit()]
    path = str(random.choice(paths))
    node, key = _place(plain, path)
    new = misspelt(key, random)
    while new in node:
        new = misspelt(key, random)
    items = list(node.items())
    node.clear()
    node.update((new if old == key else old, value) for old, value in items)
    return path, new


def typo_in_a_stream(plain, random):
    """A misspelt name of a stream where a list or a dict repeats it."""
    streams = [*plain["model"]["encoders"]]
    places = [
        path
        for path, value in _nodes(plain)
        if (isinstance(value, str) and value in streams)
        or path.split("\0")[-1] in streams
    ]
    path = str(random.choice(places))
    node, key = _place(plain, path)
    if isinstance(node, list | tuple):
        node[key] = misspelt(node[key], random)
        return path, node[key]
    new = misspelt(key, random)
    node[new] = node.pop(key)
    return path, new


def misspelt_type(plain, random):
    """A class that there is not."""
    paths = [p for p, _ in _nodes(plain) if p.endswith("\0type")]
    path = str(random.choice(paths))
    node, key = _place(plain, path)
    head, dot, name = node[key].rpartition(".")
    node[key] = head + dot + misspelt(name, random)
    return path, node[key].rpartition(".")[2]


def wrong_kind(plain, random):
    """A value of another kind."""
    paths = [
        path
        for path, value in _nodes(plain)
        if isinstance(value, bool | int | float | dict | list) and value != []
    ]
    path = str(random.choice(paths))
    node, key = _place(plain, path)
    old = node[key]
    choices = ["wrong", {"wrong": 1}] if isinstance(old, int | float) else ["wrong", 3]
    node[key] = choices[random.integers(2)]
    return path, key


def negative_size(plain, random):
    """A size, a count or an interval below 0."""
    pattern = re.compile(
        r"num_\w+|\w*_dims|batch_size|max_epochs|\w*interval|patience|embed\w+|T_max"
    )
    paths = [
        path
        for path, value in _nodes(plain)
        if isinstance(value, int)
        and not isinstance(value, bool)
        and pattern.fullmatch(path.split("\0")[-1])
    ]
    path = str(random.choice(paths))
    node, key = _place(plain, path)
    node[key] = -int(random.integers(1, 9))
    return path, key


def missing_key(plain, random):
    """A part without its type, or a key without which nothing can be built."""
    needed = ("type", "dataset", "sampler", "optimizer", "num_classes", "encoders")
    paths = [p for p, _ in _nodes(plain) if p.split("\0")[-1] in needed]
    path = str(random.choice(paths))
    node, key = _place(plain, path)
    del node[key]
    return path, key


MUTATIONS = (
    typo_in_a_key,
    typo_in_a_key,
    typo_in_a_key,
    typo_in_a_stream,
    misspelt_type,
    wrong_kind,
    negative_size,
    missing_key,
)
FILES = {
    "circle": ("circle", "_base_ = './config.py'\n", "config.py"),
    "variable": ("unread", "{word} = dict(a=1)\n", "{word}"),
    "top": ("unread", "{typo} = []\n", "{typo}"),
}


def of_a_file(random, folder):
    """A mistake of a file as such: what it sets for nothing, or a circle of bases."""
    kind, text, said = FILES[str(random.choice(list(FILES)))]
    top = ("train_dataloader", "param_scheduler", "default_hooks", "val_evaluator")
    words = {
        "word": "".join(random.choice(list("abcdefgh"), 6)),
        "typo": misspelt(str(random.choice(top)), random),
    }
    path = folder / "config.py"
    path.write_text(text.format(**words))
    return kind, (lambda: load_config(path)), said.format(**words)


def of_an_option(name, random):
    """A misspelt or shortened key given by ``--cfg-options``."""
    plain = clean(name)[0]
    paths = [path for path, value in walk(plain) if path.count(".") in (1, 2)]
    keys = [path for path in paths if not re.search(r"\.\d|custom_keys|\.type$", path)]
    key = str(random.choice(keys))
    head, _, last = key.rpartition(".")
    if re.fullmatch(r"default_hooks", head):
        head, last = "train_cfg", "max_epochs"
    wrong = misspelt(last, random) if random.random() < 0.7 else None
    option = last if wrong is None else f"{head}.{wrong}"
    if option.partition(".")[0] in plain and wrong is None:
        option = f"{option}x"
    path = ROOT / f"{name}.py"
    return "option", (lambda: load_config(path, {option: 3})), wrong or last


def trial(number, random, folder):
    """One mistake in one config, and the word for how it ended."""
    logging.disable(logging.WARNING)
    name = NAMES[number % len(NAMES)]
    known, classes = clean(name)
    config = None
    if number % 10 == 8:
        kind, attempt, said = of_a_file(random, folder)
    elif number % 10 == 9:
        kind, attempt, said = of_an_option(name, random)
    else:
        plain = copy.deepcopy(known)
        mutate = MUTATIONS[number % 10]
        path, said = mutate(plain, random)
        kind = mutate.__name__
        config = Config(ConfigDict(plain))
        attempt = functools.partial(judge, config, classes)
    try:
        with torch.random.fork_rng():
            attempt()
    except Exception as error:
        line = _explained(error, config)
        assert line is not None, f"raw {error!r}"
        assert len(line) < 2000 and "Traceback" not in line, line
        shown = path if kind in {m.__name__ for m in MUTATIONS} else said
        words = [said, *(str(shown).split("\0"))[-3:]]
        assert any(str(word) in line for word in words), f"{words} not in: {line}"
        return f"{kind}: refused"
    finally:
        logging.disable(logging.NOTSET)
    place = path.replace("\0", ".") if config is not None else said
    place = f"{kind} {place}"
    for pattern, reason in LEGAL.items():
        if re.fullmatch(pattern, place):
            return f"{kind}: legal, {reason}"
    raise AssertionError(f"accepted in silence: {place} -> {said} in {name}")


if __name__ == "__main__":
    main(trial, __doc__, 1000)
