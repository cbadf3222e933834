"""The margin of every account of a venue, by as many workers as there are: what `flatbook margin --accounts` shows."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from flatbook.app.value_book import MarketChoice, find_markets
from flatbook.app.workers import Workers
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import format_utc
from flatbook.market.snapshot import Markets
from flatbook.report.book_value import Document
from flatbook.risk.margin.accounts import AccountMargins, Accounts, AccountsInMarket, requirements
from flatbook.store.accounts_file import read_accounts, write_margins
from flatbook.venues.deribit import load_reference
from flatbook.venues.margin import edition_at

ACCOUNTS_EACH = 4_096
"""Accounts in a part: whatever the number of workers, so that all give the same numbers to the last bit."""

SHOWN = 20


@dataclass(frozen=True)
class AccountsQuestion:
    """A file of accounts, the market, whose rules; where to write a row an account, and who computes."""

    accounts: Path
    market: MarketChoice
    model: str
    out: Path | None = None
    workers: Workers = field(default_factory=Workers)


def accounts_margin(question: AccountsQuestion) -> Document:
    """Totals, how fast it was, and the accounts that are shortest of margin, at most `SHOWN` of them.

    Errors      BadInputError where accounts, market, model or workers cannot be used
    """
    edition_at(question.model, 0)
    reference = load_reference()
    accounts = read_accounts(question.accounts, reference)
    if not accounts.underlyings:
        raise BadInputError(
            f"{question.accounts}: holds dollars alone, which need no margin; give accounts with contracts"
        )
    found = find_markets(question.market, accounts.underlyings, reference)
    _refuse_expired(accounts, found.markets, question.accounts)
    at_ns = max(market.ts_ns for market in found.markets.snapshots.values())
    edition, dated = edition_at(question.model, at_ns)
    began = time.perf_counter()
    held = AccountsInMarket(accounts, edition.model, found.markets)
    done = question.workers.carry_out(requirements, held.rules, held.parts(ACCOUNTS_EACH))
    margins = held.margins(np.concatenate(list(done), axis=1))
    took_s = time.perf_counter() - began
    if question.out is not None:
        write_margins(accounts, margins, question.out)
    return {
        "model": {"name": edition.name, "title": edition.model.title, "since": edition.since},
        "market": {"source": found.source, "at": format_utc(at_ns)},
        "accounts": len(accounts),
        "positions": len(accounts.size),
        "wall_s": took_s,
        "accounts_per_s": len(accounts) / took_s,
        "totals": {f"{name}_usd": float(values.sum()) for name, values in margins._asdict().items()},
        "short_of_margin": int((margins.surplus < 0.0).sum()),
        "shortest": _shortest(accounts, margins),
        "notes": [*found.notes, *([dated] if dated else [])],
    }


def _shortest(accounts: Accounts, margins: AccountMargins) -> list[Document]:
    order = np.argsort(margins.surplus, kind="stable")[:SHOWN]
    columns = {**margins._asdict(), "surplus": margins.surplus}
    return [
        {"account": accounts.names[at], **{f"{name}_usd": float(values[at]) for name, values in columns.items()}}
        for at in order.tolist()
    ]


def _refuse_expired(accounts: Accounts, markets: Markets, path: Path) -> None:
    for instrument in accounts.instruments:
        expiry_ns = instrument.contract.expiry_ns
        market = markets.of(instrument.contract.base)
        if expiry_ns is not None and expiry_ns <= market.ts_ns:
            raise BadInputError(
                f"{path}: {instrument.name} expired at {format_utc(expiry_ns)}, and the market is of "
                f"{format_utc(market.ts_ns)}; take it out, or ask for an earlier market"
            )
