"""Scales of the learning rate by depth, worked by hand."""

import pytest

from mmfusion.engine.optimizers.layer_decay import LayerDecay
from mmfusion.utils.errors import ConfigError

STEM = ("cls_token", "pos_embed", "patch_embed.proj.weight")
TOP = ("temporal_pos_embedding", "norm_f.weight")
BLOCKS = tuple(f"layers.{number}.mixer.D" for number in range(3))


def scales(form, names=(*STEM, *BLOCKS, *TOP), rate=0.5):
    full = [f"encoders.video.{name}" for name in names]
    found = LayerDecay(rate, form).scales([*full, "heads.action.fc.weight"])
    return {name.removeprefix("encoders.video."): x for name, x in found.items()}


def test_published_freezes_the_stem_and_leaves_the_rest():
    found = scales("published")
    assert {found.pop(name) for name in STEM} == {0.5**4}
    assert set(found.values()) == {1.0}


def test_intended_falls_by_the_layer():
    found = scales("intended")
    assert [found[name] for name in BLOCKS] == [0.5**3, 0.5**2, 0.5]
    assert {found[name] for name in STEM} == {0.5**4}
    assert {found[name] for name in (*TOP, "heads.action.fc.weight")} == {1.0}


def test_other_backbones_name_their_blocks_otherwise():
    names = ("conv1.weight", "transformer.resblocks.0.ln_1.weight")
    assert scales("intended", names)["conv1.weight"] == 0.25
    assert (
        scales("intended", ("blocks.1.norm1.weight",))["blocks.1.norm1.weight"] == 0.5
    )


@pytest.mark.parametrize(
    "options", [(1.5, "published"), (0.5, "meant"), (0, "intended")]
)
def test_wrong_options(options):
    with pytest.raises(ConfigError, match="expected a rate above 0"):
        LayerDecay(*options)
    with pytest.raises(ConfigError, match="video encoder made of blocks"):
        LayerDecay(0.5, "published").scales(["heads.action.fc.weight"])
