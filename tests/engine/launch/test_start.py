"""Errors that a tool explains, and those whose traceback a user must see."""

import pytest

from mmfusion.engine.launch.start import fail_clearly
from mmfusion.utils.errors import InputError, NonFiniteError, SkeletonError


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError("x"), 2), (SkeletonError("x"), 2), (NonFiniteError("x"), 1)],
)
def test_ours_are_one_message_with_an_exit_code(error, code):
    with fail_clearly(debug=False) as failure:
        raise error
    assert failure.code == code and "x\n(--debug shows where)" in failure.message


@pytest.mark.parametrize("folder", ["mmfusion", "other"])
def test_another_error_is_raised_whatever_the_folder_is_called(folder):
    """A clone in a folder named mmfusion has torch's own files under that name."""
    source = f"/home/me/{folder}/venv/lib/torch/functional.py"
    code = compile("raise ValueError('of torch')", source, "exec")
    with pytest.raises(ValueError, match="of torch"), fail_clearly(debug=False):
        exec(code)
