"""Parameters of a call, read as what they must be; a query string's are all text, and read as what they say."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from flatbook.venues.deribit.rpc import Code, RpcError

Default = TypeVar("Default")


class _Required:
    """Stands for no default."""


_REQUIRED = _Required()


class Params(msgspec.Struct, frozen=True):
    """Each reader raises RpcError -32602 where the parameter is missing, or not what it must be."""

    raw: Mapping[str, Any]
    is_query: bool = False

    def text(self, name: str, default: str | None = None, choices: Sequence[str] = ()) -> str:
        """A text, one of `choices` where given."""
        value = self._value(name, _REQUIRED if default is None else default)
        if isinstance(value, int) and not isinstance(value, bool):
            value = f"{value}"
        if not isinstance(value, str):
            raise RpcError(Code.INVALID_PARAMS, "must be a string", name)
        if choices and value not in choices:
            raise RpcError(Code.INVALID_PARAMS, f"must be one of {', '.join(choices)}", name)
        return value

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number."""
        value = self._value(name, _REQUIRED if default is None else default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise RpcError(Code.INVALID_PARAMS, "must be a number", name)
        return float(value)

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number."""
        value = self.number(name, default)
        if value != int(value):
            raise RpcError(Code.INVALID_PARAMS, "must be an integer", name)
        return int(value)

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self._value(name, default)
        if not isinstance(value, bool):
            raise RpcError(Code.INVALID_PARAMS, "must be a boolean", name)
        return value

    def items(self, name: str) -> list[Any]:
        """A list."""
        value = self._value(name, _REQUIRED)
        if not isinstance(value, list):
            raise RpcError(Code.INVALID_PARAMS, "must be a list", name)
        return value

    def has(self, name: str) -> bool:
        """Whether it is given."""
        return self.raw.get(name) is not None

    def within(self, name: str) -> "Params":
        """The parameters of an object."""
        value = self._value(name, _REQUIRED)
        if not isinstance(value, dict):
            raise RpcError(Code.INVALID_PARAMS, "must be an object", name)
        return Params(value)

    def _value(self, name: str, default: object) -> object:
        value = self.raw.get(name)
        if value is None:
            if isinstance(default, _Required):
                raise RpcError(Code.INVALID_PARAMS, "value required", name)
            return default
        if self.is_query and isinstance(value, str) and not isinstance(default, str):
            return _said(value)
        return value


def _said(text: str) -> object:
    """What a query's text says: a number, true, a list; or else itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
