"""The optimizer wrapper and its constructor."""

import pytest
import torch
from torch import nn

from mmfusion.engine import (
    FusionOptimWrapper,
    FusionRunner,
    GroupedOptimWrapperConstructor,
)
from mmfusion.utils.errors import ConfigError
from tests.engine.toy_runs import toy_config


def wrapper(model, **arguments):
    return FusionOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), **arguments)


def test_accumulation_ends_with_the_epoch():
    """Five steps, in groups of two: updates after steps 2, 4 and 5 of each epoch."""
    model = nn.Linear(1, 1, bias=False)
    wrapped = wrapper(model, accumulative_counts=2)
    wrapped.initialize_count_status(model, 0, 10)
    wrapped.set_epoch_length(5)
    updates, scales, syncs = [], [], []
    for _ in range(10):
        scales.append(float(wrapped.scale_loss(torch.tensor(2.0))))
        syncs.append(wrapped.should_sync())
        before = model.weight.detach().clone()
        wrapped.update_params(model(torch.ones(1, 1)).sum())
        updates.append(not torch.equal(before, model.weight))
    assert updates == [False, True, False, True, True] * 2 == syncs
    assert scales == [1.0, 1.0, 1.0, 1.0, 2.0] * 2


def test_accumulated_gradients_are_those_of_the_large_batch():
    torch.manual_seed(0)
    data = torch.randn(4, 3)
    first, second = nn.Linear(3, 1), nn.Linear(3, 1)
    second.load_state_dict(first.state_dict())
    whole, parts = wrapper(first), wrapper(second, accumulative_counts=4)
    for wrapped, model, steps in ((whole, first, 1), (parts, second, 4)):
        wrapped.initialize_count_status(model, 0, steps)
        for batch in data.chunk(steps):
            wrapped.update_params(model(batch).square().mean())
    torch.testing.assert_close(first.weight, second.weight)


def test_bf16_is_for_the_forward_pass_only():
    model = nn.Linear(2, 2)
    wrapped = wrapper(model, dtype="bfloat16")
    with wrapped.optim_context(model):
        assert model(torch.ones(1, 2)).dtype == torch.bfloat16
    assert model(torch.ones(1, 2)).dtype == torch.float32
    with pytest.raises(ValueError, match="float16"):
        wrapper(model, dtype="float16")


class Mixer(nn.Module):
    """Names that a Mamba block has."""

    def __init__(self):
        super().__init__()
        self.A_log, self.D = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
        self.in_proj, self.norm = nn.Linear(2, 2), nn.RMSNorm(2)


def test_few_groups_and_no_decay_where_none_belongs():
    optimizer = dict(type="AdamW", lr=0.1, weight_decay=0.5)
    keys = {".A_log": dict(decay_mult=0.0), ".D": dict(decay_mult=0.0)}
    build = GroupedOptimWrapperConstructor(
        dict(optimizer=optimizer, clip_grad=dict(max_norm=1.0)),
        dict(norm_decay_mult=0.0, bias_decay_mult=0.0, custom_keys=keys),
    )
    model = nn.ModuleDict({"mixer": Mixer()})
    wrapped = build(model)
    groups = wrapped.optimizer.param_groups
    decays = {g["weight_decay"]: [p for p in g["params"]] for g in groups}
    assert len(groups) == 2 and set(decays) == {0.0, 0.5}
    assert decays[0.5][0] is model["mixer"].in_proj.weight and len(decays[0.5]) == 1
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))


def test_rate_and_decay_of_a_parameter_may_come_from_two_keys():
    optimizer = dict(type="SGD", lr=0.1, weight_decay=0.5)
    keys = {"neck.": dict(lr_mult=3.0), ".A_log": dict(decay_mult=0.0)}
    build = GroupedOptimWrapperConstructor(
        dict(optimizer=optimizer), dict(norm_decay_mult=0.0, custom_keys=keys)
    )
    model = nn.ModuleDict({"neck": Mixer(), "head": nn.Linear(2, 2)})
    groups = build(model).optimizer.param_groups
    found = {
        id(p): (round(g["lr"], 6), g["weight_decay"])
        for g in groups
        for p in g["params"]
    }
    neck = model["neck"]
    assert found[id(neck.A_log)] == found[id(neck.norm.weight)] == (0.3, 0.0)
    assert found[id(neck.in_proj.weight)] == found[id(neck.D)] == (0.3, 0.5)
    assert found[id(model["head"].weight)] == (0.1, 0.5)


@pytest.mark.parametrize(
    "paramwise", [dict(norm_decay=0.0), dict(custom_keys={"a": dict(lr=1)})]
)
def test_unknown_paramwise_key_is_named(paramwise):
    with pytest.raises(ConfigError, match=r"norm_decay|custom_keys\['a'\]"):
        GroupedOptimWrapperConstructor(dict(optimizer=dict(type="SGD")), paramwise)


class Encoded(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("paramwise", "said"),
    [
        ({"custom_keys": {"encodr.": {}}}, "'encodr.' is in the name of no parameter"),
        ({"custom_keys": {"encodr.": {}}}, "nearest: encoder"),
        ({"custom_keys": {"x": {}}, "may_be_absent": ["y"]}, "custom_keys: 'x' is in"),
        ({"custom_keys": {"x": {}, "encoder.": {}}, "may_be_absent": ["x"]}, None),
    ],
)
def test_custom_keys_that_match_no_parameter_are_refused(paramwise, said):
    wrapper = dict(optimizer=dict(type="SGD", lr=0.1))
    build = GroupedOptimWrapperConstructor(wrapper, paramwise)
    if said is None:
        build(Encoded())
        return
    with pytest.raises(ConfigError) as error:
        build(Encoded())
    assert said in str(error.value)


def test_custom_keys_of_mmengines_constructor_are_checked_too(tmp_path):
    config = toy_config(tmp_path)
    config.optim_wrapper.pop("constructor")
    config.optim_wrapper.paramwise_cfg = dict(custom_keys={"bod.": dict(lr_mult=2.0)})
    runner = FusionRunner.from_cfg(config)
    with pytest.raises(ConfigError, match="'bod.' is in .*; nearest: body"):
        runner.build_optim_wrapper(config.optim_wrapper)
