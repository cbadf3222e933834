"""The margin of an account as one document, for `--json` and for the pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import format_utc
from flatbook.market.snapshot import Markets
from flatbook.report.book_value import Document
from flatbook.risk.margin.account import AccountMargin, UnderlyingMargin, usage
from flatbook.risk.margin.distance import Distance, MarginCurve
from flatbook.venues.margin import MarginEdition

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MarginResult:
    """An account's margin in a market, by an edition of a model; `reaches` by underlying, None for all alike."""

    edition: MarginEdition
    account: AccountMargin
    markets: Markets
    reaches: Mapping[str | None, tuple[Distance, ...]]
    curve: MarginCurve
    source: str
    notes: tuple[str, ...]


def margin_document(result: MarginResult) -> Document:
    """Everything; amounts in USD, sizes in coins, None where there is no such number."""
    edition, markets = result.edition, result.markets
    return {
        "model": {
            "name": edition.name,
            "title": edition.model.title,
            "since": edition.since,
            "source": edition.source,
            "remark": edition.remark,
        },
        "market": {
            "source": result.source,
            "underlyings": {
                name: {"at": format_utc(market.ts_ns), "ts_ns": market.ts_ns, "index_usd": market.index_usd}
                for name, market in sorted(markets.snapshots.items())
            },
        },
        "account": _account(result.account),
        "requirement": _requirement(result.account),
        "positions": [row for part in result.account.underlyings for row in _positions(part)],
        "underlyings": [_underlying(part) for part in result.account.underlyings],
        "distances": [_distance(name, one, markets) for name, found in result.reaches.items() for one in found],
        "curve": _curve(result.curve),
        "notes": list(result.notes),
    }


def _account(account: AccountMargin) -> Document:
    initial, maintenance = account.initial, account.maintenance
    return {
        "equity_usd": account.equity,
        "initial_balance_usd": account.initial_balance,
        "margin_balance_usd": account.balance,
        "initial_margin_usd": initial,
        "maintenance_margin_usd": maintenance,
        "available_usd": account.initial_balance - initial,
        "surplus_usd": account.surplus,
        "initial_usage": _finite(usage(initial, account.initial_balance)),
        "maintenance_usage": _finite(usage(maintenance, account.balance)),
        "sufficient": account.is_sufficient,
    }


def _requirement(account: AccountMargin) -> list[Document]:
    """What the requirement is for; the rows sum to both margins."""
    rows = [
        {"for": name, "initial_usd": float(part.initial), "maintenance_usd": float(part.maintenance)}
        for name, part in account.parts.items()
    ]
    rows.append({"for": "open orders", "initial_usd": float(account.orders.initial), "maintenance_usd": 0.0})
    rows.append({"for": "market maker protection", "initial_usd": account.mmp, "maintenance_usd": 0.0})
    return rows


def _positions(part: UnderlyingMargin) -> list[Document]:
    """Each contract with what closing it alone would free, and what one coin more of either side would ask for."""
    ones = np.ones(len(part.contracts))
    closing, buying, selling = (part.state.marginals(size) for size in (-part.size, ones, -ones))
    return [
        {
            "instrument": name,
            "size_coin": float(part.size[row]),
            "bids_coin": float(part.bids[row]),
            "asks_coin": float(part.asks[row]) + 0.0,  # no -0.0
            "frees_initial_usd": -float(closing.initial[row]),
            "frees_maintenance_usd": -float(closing.maintenance[row]),
            "buying_one_coin_usd": float(buying.initial[row]),
            "selling_one_coin_usd": float(selling.initial[row]),
        }
        for row, name in enumerate(part.contracts.names)
    ]


def _underlying(part: UnderlyingMargin) -> Document:
    margins = part.state.margins
    scenarios: list[Document] = []
    for block in part.requirement.blocks:
        pnl = block.pnl_usd(block.features(part.size[block.rows]))
        scenarios += [
            {"spot": one.spot, "vol": str(one.vol), "weight": one.weight, "pnl_usd": float(usd)}
            for one, usd in zip(block.scenarios, pnl.tolist(), strict=True)
        ]
    worst = min(range(len(scenarios)), key=lambda at: float(scenarios[at]["pnl_usd"]), default=None)
    return {
        "underlying": part.contracts.underlying,
        "initial_usd": float(margins.initial),
        "maintenance_usd": float(margins.maintenance),
        "scenarios": scenarios,
        "worst_scenario": worst,
    }


def _distance(underlying: str | None, found: Distance, markets: Markets) -> Document:
    row: Document = {
        "underlying": underlying,
        "in": found.name,
        "move": found.move,
        "searched_to": found.furthest,
        "at_price_usd": None,
    }
    name = underlying or (next(iter(markets.snapshots)) if len(markets.snapshots) == 1 else None)
    if found.move is not None and name is not None and found.name.startswith("spot"):
        row["at_price_usd"] = markets.of(name).index_usd * (1.0 + found.move)
    return row


def _curve(curve: MarginCurve) -> Document:
    return {
        "spot": curve.spot.tolist(),
        "margin_balance_usd": curve.balance.tolist(),
        "initial_margin_usd": curve.initial.tolist(),
        "maintenance_margin_usd": curve.maintenance.tolist(),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
