"""A book over several venues as one document, for `--json`, the terminal and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.units import format_utc, risk_amount
from flatbook.market.snapshot import Markets
from flatbook.report.book_value import Document
from flatbook.risk.margin.account import AccountMargin, usage
from flatbook.risk.margin.distance import Distance
from flatbook.risk.venues.proposal import Proposal, UseBounds, VenueAccount, use_of
from flatbook.risk.venues.split import Netting
from flatbook.risk.venues.transfers import Transfer
from flatbook.venues.margin import MarginEdition
from flatbook.venues.transfers import TransferEdition

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class VenuesResult:
    """What is known of a book by venue; `as_one` the whole book as one account under each model that was asked."""

    accounts: tuple[VenueAccount, ...]
    editions: Mapping[str, MarginEdition]
    proposal: Proposal
    bounds: UseBounds
    terms: TransferEdition
    nettings: tuple[Netting, ...]
    day_risk_usd: Mapping[str, Floats]
    reaches: Mapping[str, tuple[Distance, ...]]
    as_one: Mapping[str, AccountMargin]
    markets: Markets
    source: str
    notes: tuple[str, ...]


def venues_document(result: VenuesResult) -> Document:
    """Everything; amounts in USD unless suffixed, None where there is no such number."""
    proposal = result.proposal
    margins = zip(result.accounts, proposal.now, proposal.after, strict=True)
    rows = [_venue(result, *each) for each in margins]
    return {
        "market": {
            "source": result.source,
            "underlyings": {
                name: {"at": format_utc(market.ts_ns), "index_usd": market.index_usd}
                for name, market in sorted(result.markets.snapshots.items())
            },
        },
        "bounds": {"call_at_use": result.bounds.call, "target_use": result.bounds.target},
        "venues": rows,
        "total": {
            name: sum(row[name] for row in rows)
            for name in ("equity_usd", "margin_balance_usd", "initial_margin_usd", "maintenance_margin_usd")
        },
        "as_one_account": [
            {"model": name, "initial_margin_usd": one.initial, "maintenance_margin_usd": one.maintenance}
            for name, one in sorted(result.as_one.items())
        ],
        "exposures": [_exposure(result, one) for one in result.nettings],
        "day_deviation": _day_deviation(result),
        "transfers": [_transfer(result, one) for one in proposal.transfers],
        "short": [{"venue": venue, "usd": usd} for venue, usd in proposal.short_usd.items()],
        "transfer_terms": {"since": result.terms.since, "source": result.terms.source},
        "sufficient": all(margin.is_sufficient for margin in proposal.now),
        "within_target": not proposal.short_usd,
        "notes": list(result.notes),
    }


def _venue(result: VenuesResult, account: VenueAccount, now: AccountMargin, after: AccountMargin) -> Document:
    edition = result.editions[account.venue]
    return {
        "venue": account.venue,
        "model": edition.name,
        "model_since": edition.since,
        "equity_usd": now.equity,
        "margin_balance_usd": now.balance,
        "initial_margin_usd": now.initial,
        "maintenance_margin_usd": now.maintenance,
        "surplus_usd": now.surplus,
        "initial_usage": _finite(usage(now.initial, now.initial_balance)),
        "maintenance_usage": _finite(use_of(now)),
        "maintenance_usage_after": _finite(use_of(after)),
        "is_called": account.venue in result.proposal.called,
        "sufficient": now.is_sufficient,
        "collateral": _collateral(result, account),
        "distances": {
            one.name: {"move": one.move, "searched_to": one.furthest} for one in result.reaches[account.venue]
        },
    }


def _collateral(result: VenuesResult, account: VenueAccount) -> list[Document]:
    held: dict[str, float] = {}
    for balance in account.book.balances:
        held[balance.currency] = held.get(balance.currency, 0.0) + balance.amount
    return [
        {
            "currency": currency,
            "amount": amount,
            "usd": amount * result.markets.usd_per(currency),
            "maintenance_haircut": account.model.haircuts(currency)[1] if amount > 0.0 else 0.0,
        }
        for currency, amount in sorted(held.items())
    ]


def _exposure(result: VenuesResult, one: Netting) -> Document:
    venues = (account.venue for account in result.accounts)
    return {
        "underlying": one.underlying,
        "exposure": one.name,
        "by_venue": dict(zip(venues, one.by_venue, strict=True)),
        "gross": one.gross,
        "net": one.net,
        "netted": one.netted,
    }


def _day_deviation(result: VenuesResult) -> Document:
    """Of P&L over a day, to first order: what venues' deviations sum to beyond the book's is what netting saves."""
    by_venue = {venue: float(np.linalg.norm(loads)) for venue, loads in result.day_risk_usd.items()}
    net = float(np.linalg.norm(sum(result.day_risk_usd.values(), np.zeros(4))))
    gross = math.fsum(by_venue.values())
    return {"by_venue_usd": by_venue, "gross_usd": gross, "net_usd": net, "netted_usd": gross - net}


def _transfer(result: VenuesResult, one: Transfer) -> Document:
    usd = result.markets.usd_per(one.currency)
    sent, fee = risk_amount(one.sent_units, one.currency), risk_amount(one.fee_units, one.currency)
    return {
        "from": one.sender,
        "to": one.receiver,
        "currency": one.currency,
        "sent": sent,
        "fee": fee,
        "received": risk_amount(one.received_units, one.currency),
        "sent_usd": sent * usd,
        "fee_usd": fee * usd,
        "reason": _reason(result, one),
    }


def _reason(result: VenuesResult, one: Transfer) -> str:
    """Why this money goes there, in one line."""
    by_venue = {
        account.venue: (account.model, now, after)
        for account, now, after in zip(result.accounts, result.proposal.now, result.proposal.after, strict=True)
    }
    model, now, after = by_venue[one.receiver]
    use, then = use_of(now), use_of(after)
    if use >= result.bounds.call:
        near = f"{one.receiver} uses {_share(use)} of its margin balance and is called at {_share(result.bounds.call)}"
    elif one.receiver not in result.proposal.called:
        near = f"{one.receiver} sends on what counts for more elsewhere"
    else:
        near = f"initial margin at {one.receiver} is {now.initial - now.initial_balance:,.0f} USD short"
    counts = 1.0 - model.haircuts(one.currency)[1]
    donor = by_venue[one.sender][2]
    return (
        f"{near}; {one.currency} counts {_share(counts)} there; afterwards {one.receiver} uses {_share(then)} and "
        f"{one.sender} {_share(use_of(donor))}"
    )


def _share(value: float) -> str:
    return f"{100.0 * value:.0f} %" if math.isfinite(value) else "all"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
