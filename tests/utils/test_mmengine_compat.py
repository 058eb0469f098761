"""MMEngine as mmfusion mends it."""

import subprocess
import sys

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.visualization import Visualizer

from mmfusion.utils.errors import InputError
from mmfusion.utils.mmengine_compat import _refused, _standing_in


def test_a_visualizer_draws_once_it_has_an_image():
    drawn = Visualizer(name="draws late")
    drawn.set_image(np.zeros((24, 32, 3)))
    drawn.draw_bboxes(np.array([4, 4, 20, 16]), edge_colors="r")
    image = drawn.get_image()
    assert image.shape == (24, 32, 3) and image[..., 0].max() > 200
    assert image[..., 1:].max() < 100


def test_the_text_of_a_config_is_one_without_yapf(tmp_path):
    config = Config(dict(a=[dict(b=(1, "x")), None], c={"d-e": dict(f=1.5)}))
    config.dump(tmp_path / "a.py")
    assert Config.fromfile(tmp_path / "a.py").to_dict() == config.to_dict()
    assert len(config.pretty_text.splitlines()) > 4


def test_what_is_left_out_says_how_to_get_it():
    kind = type("Zero", (), {"__init__": _refused("Zero", "torch.distributed.optim")})
    with pytest.raises(InputError, match="import torch.distributed.optim before"):
        kind([], lr=0.1)


def test_stand_ins_are_gone_afterwards_and_nothing_real_is_hidden():
    with _standing_in({"subprocess": None, "no_such_module": None}):
        assert sys.modules["subprocess"] is subprocess
        assert sys.modules["no_such_module"] is None
    assert "no_such_module" not in sys.modules
