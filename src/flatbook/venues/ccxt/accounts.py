"""What differs from venue to venue, beneath the shapes that ccxt makes alike. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

from flatbook.domain.errors import BadInputError
from flatbook.venues.ccxt.amounts import exact

Row = Mapping[str, Any]
Cash = Iterator[tuple[str, Decimal]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account at a venue, as ccxt reaches it.

    name            the ledger's venue; `library_id` ccxt's class
    options         of that class; `balance_params` of its `fetch_balance`
    cash            currency and amount of each balance, as the venue itself prints it: without unrealised P&L
    client_id_param of `create_order`, under which our own id of an order goes
    find_by         how an order is asked for by our id
    best_by_itself  whether best prices are asked for apart: Binance's tickers of futures are without them
    in_contracts    whether sizes are contracts; else coins, or USD of inverse ones
    funding_sign    of the library's amounts of funding: Bybit's are fees, paid positive
    final_after_s   an order that the venue does not know this long after it was sent will never be: the venue refuses
                    what is older than its receive window, or our own connection has long timed out
    """

    name: str
    library_id: str
    options: Row = field(default_factory=dict)
    balance_params: Row = field(default_factory=dict)
    cash: Callable[[Any], Cash]
    client_id_param: str = "clientOrderId"
    find_by: Literal["client_id", "link_id", "label"] = "client_id"
    best_by_itself: bool = False
    in_contracts: bool = True
    funding_sign: int = 1
    final_after_s: float = 30.0


def _binance_spot(info: Any) -> Cash:
    for row in info["balances"]:
        yield row["asset"], exact(row["free"], "free") + exact(row["locked"], "locked")


def _binance_futures(info: Any) -> Cash:
    for row in info["assets"]:
        yield row["asset"], exact(row["walletBalance"], "walletBalance")


def _okx(info: Any) -> Cash:
    for row in info["data"][0]["details"]:
        yield row["ccy"], exact(row["cashBal"], "cashBal")


def _bybit(info: Any) -> Cash:
    for account in info["result"]["list"]:
        for row in account["coin"]:
            yield row["coin"], exact(row["walletBalance"], "walletBalance")


def _deribit(info: Any) -> Cash:
    for row in info.get("summaries", [info]):
        yield row["currency"], exact(row["balance"], "balance")


_ACCOUNTS: Final = (
    Account(
        name="binance_spot",
        library_id="binance",
        options={"defaultType": "spot", "fetchMarkets": {"types": ["spot"]}, "fetchMargins": False},
        balance_params={"type": "spot"},
        cash=_binance_spot,
        best_by_itself=True,
    ),
    Account(
        name="binance_usdm",
        library_id="binanceusdm",
        balance_params={"type": "future", "subType": "linear"},
        cash=_binance_futures,
        best_by_itself=True,
    ),
    Account(
        name="binance_coinm",
        library_id="binancecoinm",
        options={"defaultType": "delivery"},
        balance_params={"type": "delivery", "subType": "inverse"},
        cash=_binance_futures,
        best_by_itself=True,
    ),
    Account(
        name="okx",
        library_id="okx",
        options={"fetchMarkets": {"types": ["spot", "future", "swap"]}},
        cash=_okx,
    ),
    Account(
        name="bybit",
        library_id="bybit",
        options={
            "fetchMarkets": {"types": ["spot", "linear", "inverse"]},
            "enableUnifiedMargin": False,
            "enableUnifiedAccount": True,
        },
        balance_params={"type": "unified"},
        cash=_bybit,
        find_by="link_id",
        funding_sign=-1,
    ),
    Account(
        name="deribit",
        library_id="deribit",
        cash=_deribit,
        client_id_param="label",
        find_by="label",
        in_contracts=False,
    ),
)


def account_named(name: str) -> Account:
    """The account of that name.

    Errors      BadInputError where there is none
    """
    for account in _ACCOUNTS:
        if account.name == name:
            return account
    raise BadInputError(f"venue {name!r} is not known; use one of {', '.join(one.name for one in _ACCOUNTS)}")
