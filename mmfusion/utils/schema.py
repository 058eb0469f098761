"""Checks of strangers' records by pydantic, with errors that say what to do."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from mmfusion.utils.errors import InputError

Model = TypeVar("Model")

# no "1" or True for 1, no NaN, no key that nobody reads
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def rule(holds: Callable[[Any], bool], broken: str) -> AfterValidator:
    """Part of an ``Annotated``: a check that no constraint of pydantic expresses.

    Args:
        holds: tells whether a value is right. broken: the reason where it is not.
    """

    def check(value: Any) -> Any:
        if not holds(value):
            raise InputError(broken)
        return value

    return AfterValidator(check)


Name = Annotated[
    str,
    Field(min_length=1, max_length=1024, description="a printable string"),
    rule(str.isprintable, "it has a character that cannot be printed"),
]


class Schema(Generic[Model]):
    """The checks of one kind of record.

    Args:
        model: a pydantic model or a dataclass; the ``description`` of each field, or
            of its type, says what it may hold.
    """

    def __init__(self, model: type[Model]) -> None:
        self._adapter = TypeAdapter(model)
        keys = self._adapter.json_schema()["properties"]
        self.expected = {
            key: about.get("description") or about["anyOf"][0]["description"]
            for key, about in keys.items()
        }
        self._defaults = {key: about.get("default") for key, about in keys.items()}

    def check(self, found: Any) -> Model:
        """The record ``found`` as the model.

        Raises:
            ValueError: one line about the first fault: key, value, what was expected.
        """
        try:
            return self._adapter.validate_python(found)
        except ValidationError as error:
            raise InputError(self._fault(error, found)) from None

    def completed(self, found: Any) -> dict[str, Any]:
        """``found`` checked and its values kept, with defaults for the other keys."""
        self.check(found)
        return {**self._defaults, **found}

    def _fault(self, error: ValidationError, found: Any) -> str:
        if not isinstance(found, Mapping):
            keys = list(self.expected)
            return f"it is {shown(found)}; expected an object with the keys {keys}"
        unknown = [key for key in found if key not in self.expected]
        if unknown:
            return self._unknown_key(unknown[0])
        fault = error.errors(include_url=False)[0]
        if not fault["loc"]:  # of several keys together
            return str(fault.get("ctx", {}).get("error", fault["msg"]))
        key = str(fault["loc"][0])
        if key not in found:
            return f"lacks the key {key!r}; expected {self.expected[key]}"
        place = f"{'.'.join(map(str, fault['loc'])):.120}"
        return (
            f"{key} is {shown(found[key])}; expected {self.expected[key]} ({place}:"
            f" {fault['msg']})"
        )

    def _unknown_key(self, key: Any) -> str:
        near = difflib.get_close_matches(str(key), self.expected, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {[*self.expected]}."
        if "extra" in self.expected:
            hint += " What no reader here knows belongs under 'extra'"
        return f"has the unknown key {shown(key)}; {hint}"


def check_keys(name: str, found: Iterable[Any], known: Iterable[str]) -> None:
    """Refuse a key of the option ``name`` that is not one of ``known``."""
    known = sorted(known)
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(f"{name} has {key!r}; expected some of {known}{hint}")


def shown(value: Any) -> str:
    """``value`` as Python writes it, at most 120 characters."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
