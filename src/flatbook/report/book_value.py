"""A valued book as one document: a row a position, balances, totals by underlying, expiry, strategy and venue, the net.

Sums over positions on several underlyings are in dollars; coins are summed within an underlying alone. A position on
two assets counts with its value once, and with each delta, gamma and vega where it belongs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.instruments import Kind
from flatbook.domain.units import format_utc
from flatbook.market.snapshot import Markets
from flatbook.valuation.marks import Marks
from flatbook.valuation.portfolio import BookPosition, Portfolio

Floats = NDArray[np.float64]
Document = dict[str, Any]

GREEKS: Final = (
    "delta_usd",
    "gamma_1pct_usd",
    "vega_usd",
    "theta_usd",
    "vanna_usd",
    "volga_usd",
)
"""Sensitivities that sum over any positions."""

VALUE_UNITS: Final[dict[str, str]] = {
    "size": "coins; USD for inverse futures and perpetuals; contracts over the counter",
    "price": "coin for a coin-settled option, else the quote currency",
    "value": "in `currency`: an option's premium, a future's or perpetual's gain since its entry, a spot pair's worth",
    "value_usd": "USD",
    "pnl": "in `currency`, since `entry_price`",
    "delta_coin": "coins of underlying; Black's of an option",
    "net_delta_coin": "coins of underlying, less the coin that a coin-settled position is worth: hedges it in coin",
    "delta_usd": "USD per 100 % of spot, forwards moving alike",
    "gamma_1pct_usd": "change of delta in USD per 1 % of spot",
    "vega_usd": "USD per vol point",
    "theta_usd": "USD per calendar day",
    "vanna_usd": "change of delta in USD per vol point",
    "volga_usd": "change of vega per vol point",
    "vol": "decimal per year",
    "years": "of 365 days",
}
"""Units of a position's row, by column."""


def value_document(
    portfolio: Portfolio, marks: Marks, markets: Markets, source: str, notes: Iterable[str] = ()
) -> Document:
    """The whole book in one market; None where a position has no such number.

    `source` says where the market is from.
    """
    rows = [_position_row(position, marks, at) for at, position in enumerate(portfolio.positions)]
    totals = {
        "by_underlying": _by_underlying(portfolio, marks, markets),
        "by_expiry": _by(portfolio, marks, "expiry", _expiry_of),
        "by_strategy": _by(portfolio, marks, "strategy", lambda position: position.strategy or "none"),
        "by_venue": _by(portfolio, marks, "venue", lambda position: position.venue or "none"),
    }
    return {
        "market": _market(markets, source),
        "book": _net(portfolio, marks, markets),
        "positions": rows,
        "balances": _balances(portfolio, markets),
        "totals": totals,
        "units": VALUE_UNITS,
        "notes": list(notes),
    }


def _market(markets: Markets, source: str) -> Document:
    underlyings = {
        name: {"at": format_utc(market.ts_ns), "ts_ns": market.ts_ns, "index_usd": market.index_usd}
        for name, market in sorted(markets.snapshots.items())
    }
    return {"source": source, "underlyings": underlyings, "dollars": dict(markets.dollars)}


def _position_row(position: BookPosition, marks: Marks, at: int) -> Document:
    contract, otc = position.instrument.contract, position.otc
    row: Document = {
        "instrument": position.instrument.name,
        "style": str(otc.style) if otc is not None else str(contract.kind),
        "venue": position.venue or None,
        "strategy": position.strategy or None,
        "underlying": position.underlying,
        "expiry": _expiry_of(position),
        "size": position.size,
        "entry_price": _known(position.price),
        "currency": contract.settle,
    }
    row |= {name: _known(getattr(marks, name)[at]) for name in ("price", "value", "value_usd")}
    row["pnl"] = _pnl(position, marks, at)
    row |= {name: _known(getattr(marks, name)[at]) for name in ("delta_coin", "net_delta_coin", *GREEKS)}
    row |= {"vol": _known(marks.vol[at]), "years": _known(marks.years[at]), "method": marks.method[at]}
    if otc is not None and otc.underlying2 is not None:
        row["underlying2"] = otc.underlying2
        second = ("delta2_coin", "delta2_usd", "gamma2_1pct_usd", "vega2_usd", "vol2")
        row |= {name: _known(getattr(marks, name)[at]) for name in second}
    return row


def _pnl(position: BookPosition, marks: Marks, at: int) -> float | None:
    if math.isnan(position.price):
        return None
    if position.instrument.contract.kind in (Kind.FUTURE, Kind.PERPETUAL):
        return float(marks.value[at])
    return _known(position.size * (marks.price[at] - position.price))


def _by_underlying(portfolio: Portfolio, marks: Marks, markets: Markets) -> list[Document]:
    """Positions' sums, and the coin held beside them: net delta, value and balance make up the delta in dollars."""
    rows = {name: _sums([], marks) for name in portfolio.underlyings}
    for name, row in rows.items():
        first = [at for at, position in enumerate(portfolio.positions) if position.underlying == name]
        row |= _sums(first, marks, with_second=False)
        row["delta_coin"] = float(marks.delta_coin[first].sum())
        row["net_delta_coin"] = float(marks.net_delta_coin[first].sum())
        second = [
            at for at, position in enumerate(portfolio.positions) if position.otc and position.otc.underlying2 == name
        ]
        row["delta_coin"] += float(marks.delta2_coin[second].sum())
        row["net_delta_coin"] += float(marks.delta2_coin[second].sum())
        for greek, other in _SECOND.items():
            row[greek] += float(getattr(marks, other)[second].sum())
        balance = sum(balance.amount for balance in portfolio.balances if balance.currency == name)
        row["balance_coin"] = balance
        row["delta_with_balance_usd"] = row["delta_usd"] + balance * markets.of(name).index_usd
    return [{"underlying": name, **row} for name, row in rows.items()]


def _by(portfolio: Portfolio, marks: Marks, name: str, label_of: Callable[[BookPosition], str]) -> list[Document]:
    members: dict[str, list[int]] = {}
    for at, position in enumerate(portfolio.positions):
        members.setdefault(label_of(position), []).append(at)
    return [{name: label, **_sums(members[label], marks)} for label in sorted(members)]


_SECOND: Final[Mapping[str, str]] = {
    "delta_usd": "delta2_usd",
    "gamma_1pct_usd": "gamma2_1pct_usd",
    "vega_usd": "vega2_usd",
}


def _sums(at: list[int], marks: Marks, *, with_second: bool = True) -> Document:
    sums: Document = {"positions": len(at), "value_usd": float(marks.value_usd[at].sum())}
    for greek in GREEKS:
        column: Floats = getattr(marks, greek)
        total = float(np.nansum(column[at]))
        if with_second and greek in _SECOND:
            total += float(np.nansum(getattr(marks, _SECOND[greek])[at]))
        sums[greek] = total
    return sums


def _net(portfolio: Portfolio, marks: Marks, markets: Markets) -> Document:
    everything = list(range(len(portfolio.positions)))
    sums = _sums(everything, marks)
    balances_usd = portfolio.balances_usd(markets)
    coins = sum(
        balance.amount * markets.usd_per(balance.currency)
        for balance in portfolio.balances
        if balance.currency in markets.snapshots
    )
    held: dict[str, float] = {}
    for at, position in enumerate(portfolio.positions):
        currency = position.instrument.contract.settle
        held[currency] = held.get(currency, 0.0) + float(marks.value[at])
    for balance in portfolio.balances:
        held[balance.currency] = held.get(balance.currency, 0.0) + balance.amount
    net: Document = {"positions_usd": sums["value_usd"], "balances_usd": balances_usd}
    net["total_usd"] = sums["value_usd"] + balances_usd
    net["by_currency"] = dict(sorted(held.items()))
    net |= {greek: sums[greek] for greek in GREEKS}
    net["delta_with_balances_usd"] = sums["delta_usd"] + coins
    return net


def _balances(portfolio: Portfolio, markets: Markets) -> list[Document]:
    return [
        {
            "currency": balance.currency,
            "amount": balance.amount,
            "value_usd": balance.amount * markets.usd_per(balance.currency),
        }
        for balance in portfolio.balances
    ]


def _expiry_of(position: BookPosition) -> str:
    contract = position.instrument.contract
    return format_utc(contract.expiry_ns) if contract.expiry_ns is not None else str(contract.kind)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
