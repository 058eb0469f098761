"""One small world in each layout, made once."""

from dataclasses import replace
from pathlib import Path

import pytest

from mmfusion.tinyego import WorldConfig, generate

SMALL = WorldConfig(seed=3, num_train=12, num_val=12, num_test=12, height=54)
# H.264 gives the same bytes only for sides that are multiples of 4: 128 x 72
KITCHEN = replace(SMALL, height=72)


@pytest.fixture(scope="session")
def h2o_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished world in H2O's layout."""
    root = tmp_path_factory.mktemp("tinyego_h2o")
    generate(root, "h2o", SMALL)
    return root


@pytest.fixture(scope="session")
def oakink2_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same world in OakInk2's layout."""
    root = tmp_path_factory.mktemp("tinyego_oakink2")
    generate(root, "oakink2", SMALL)
    return root


@pytest.fixture(scope="session")
def ek100_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kitchen in EPIC-KITCHENS-100's layout; test films count 50 frames a second."""
    root = tmp_path_factory.mktemp("tinyego_ek100")
    generate(root, "ek100", KITCHEN)
    return root
