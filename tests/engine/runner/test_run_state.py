"""Random states and the message hub, there and back."""

import random

import numpy as np
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OneCycleLR

from mmfusion.engine.runner.checkpoints import check_plain, save_atomic, to_plain
from mmfusion.engine.runner.run_state import (
    get_rng_state,
    hub_from_plain,
    hub_to_plain,
    load_scheduler_states,
    preserved_rng,
    scheduler_states,
    set_rng_state,
)
from mmfusion.weights import load_checked


def draw():
    return (
        [random.random(), random.gauss(0, 1)],
        np.random.normal(size=3).tolist(),
        torch.randn(3).tolist(),
    )


def test_random_state_survives_a_file(tmp_path):
    random.gauss(0, 1), np.random.normal()  # both now hold half of a pair
    save_atomic({"rng": get_rng_state()}, tmp_path / "a.pth")
    first = draw()
    assert draw() != first
    set_rng_state(load_checked(tmp_path / "a.pth")["rng"])
    assert draw() == first


def test_preserved_rng():
    state = get_rng_state()
    with preserved_rng():
        draw()
    assert all(torch.equal(state[key], get_rng_state()[key]) for key in state)


def test_message_hub_survives_a_file(tmp_path):
    hub = MessageHub.get_instance("before")
    for value in (1.0, 2.0, 4.0):
        hub.update_scalar("train/loss", value)
    hub.update_info("epoch", 3)
    hub.update_info("object", object())
    hub.update_info("cfg", "long text")
    save_atomic(hub_to_plain(hub), tmp_path / "a.pth")
    back = MessageHub.get_instance("after")
    hub_from_plain(back, load_checked(tmp_path / "a.pth"))
    assert back.get_scalar("train/loss").mean(2) == 3.0
    assert dict(back.runtime_info) == {"epoch": 3}
    back.update_scalar("train/loss", 6.0)
    assert back.get_scalar("train/loss").data[0].tolist() == [1.0, 2.0, 4.0, 6.0]


def test_a_schedulers_function_is_left_to_the_config():
    """OneCycleLR's form is a function, which no checkpoint holds."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    made = [OneCycleLR(optimizer, eta_max=1.0, total_steps=9, by_epoch=False)]
    for _ in range(4):
        optimizer.step()
        made[0].step()
    states = scheduler_states(made)
    check_plain(to_plain(states))
    rate = optimizer.param_groups[0]["lr"]
    again = [OneCycleLR(optimizer, eta_max=1.0, total_steps=9, by_epoch=False)]
    load_scheduler_states(again, states)
    assert again[0].last_step == 4 and again[0].get_last_value() == [rate]
