"""The library, loaded where it is needed alone, and exchange objects of it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

from flatbook.domain.errors import ConfigurationError
from flatbook.venues.ccxt.accounts import Account


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key of an account; it is not shown. `password` is OKX's passphrase."""

    key: str = field(repr=False)
    secret: str = field(repr=False)
    password: str = field(default="", repr=False)


def library_version() -> str:
    """Whose parsers these are.

    Errors      ConfigurationError where the library is not installed
    """
    return str(_load("ccxt").__version__)


def library_error(name: str = "BaseError") -> type[Exception]:
    """An exception of the library; the base of all that it raises on purpose."""
    error: type[Exception] = getattr(_load("ccxt.base.errors"), name)
    return error


def open_exchange(account: Account, credentials: Credentials | None, timeout_s: float = 10.0) -> Any:
    """An exchange object of the library that waits by itself where the venue's rate limits ask for it.

    Errors      ConfigurationError where the library is not installed, or too old for the venue
    """
    made = getattr(_load("ccxt.pro"), account.library_id, None)
    if made is None:
        raise ConfigurationError(f"ccxt {library_version()} has no {account.library_id}; pip install -U ccxt")
    settings: dict[str, Any] = {
        "enableRateLimit": True,
        "timeout": round(timeout_s * 1000),
        "options": {**account.options, "adjustForTimeDifference": True},
    }
    if credentials is not None:
        settings |= {"apiKey": credentials.key, "secret": credentials.secret}
        settings |= {"password": credentials.password} if credentials.password else {}
    exchange = made(settings)
    # What coins can be withdrawn over which network is asked of a key that may see it; ours need not.
    exchange.has["fetchCurrencies"] = False
    return exchange


def _load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise ConfigurationError("other venues than Deribit need ccxt; pip install 'flatbook[ccxt]'") from None
