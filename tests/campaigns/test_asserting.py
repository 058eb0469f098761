"""The rule for hostile content tells a helpful refusal from every other."""

import pytest

from mmfusion.utils.errors import AnnotationError, InputError, MediaError
from tests.campaigns.asserting import Read, Refused, attempt, bounded_memory


def refuse(error: Exception):
    def read() -> None:
        raise error

    return read


def test_values_and_helpful_refusals_come_back() -> None:
    assert attempt(lambda: 3) == Read(3)
    error = AnnotationError("list.csv:3: label is x")
    assert attempt(refuse(error), "list.csv", ("line 3", ":3")) == Refused(error)


@pytest.mark.parametrize(
    "text", ["list.csv: label", "line 3", "", "list.csv:3" + "x" * 3000]
)
def test_a_message_that_does_not_help_is_a_fault(text: str) -> None:
    with pytest.raises(AssertionError):
        attempt(refuse(InputError(text)), "list.csv", ("line 3", ":3"))


@pytest.mark.parametrize("error", [KeyError("id"), TypeError("x"), ValueError("x")])
def test_a_raw_error_is_a_fault(error: Exception) -> None:
    with pytest.raises(type(error)):
        attempt(refuse(error))
    with pytest.raises(InputError):
        attempt(refuse(InputError("x")), error_type=MediaError)


def test_memory_is_bounded() -> None:
    with bounded_memory(64):
        bytearray(2**20)
    with pytest.raises(AssertionError, match="memory grew"), bounded_memory(64):
        len(bytearray(b"x") * 2**28)
