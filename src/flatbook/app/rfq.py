"""A request from its file to its quote: a market found for it, a book and a policy to price it by."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flatbook.app.book_markets import BookMarkets
from flatbook.app.value_book import MarketChoice, find_markets
from flatbook.decide.rfq.implied import OneVega
from flatbook.decide.rfq.package import LegTable, Package, PackageValue, value_package
from flatbook.decide.rfq.pricing import Ask, PackageQuote, Refusal, RfqMarket, RfqTerms, quote_package
from flatbook.decide.rfq.surroundings import (
    Appetite,
    book_exposure,
    check_delta_leg,
    leg_table,
    risk_price_in,
    with_tails,
)
from flatbook.domain.errors import BadInputError
from flatbook.domain.reference import Instrument, ReferenceData
from flatbook.engine.policy import Policy
from flatbook.market.beliefs import Beliefs
from flatbook.market.snapshot import Markets, MarketSnapshot
from flatbook.policies import read_policy
from flatbook.store.book_file import read_book
from flatbook.store.rfq_file import DeltaLegRequest, RfqRequest, read_request
from flatbook.valuation.portfolio import BookPosition, Portfolio
from flatbook.valuation.risk_price import no_risk_price
from flatbook.venues.deribit import cheaper_side_discount, load_reference


@dataclass(frozen=True)
class PricedRequest:
    """A request and its answer, with what a reader needs to understand it.

    delta_leg   as it would trade, its size and price filled in
    one_vega    the package as options of one vol, where it is that
    """

    request: RfqRequest
    answer: PackageQuote | Refusal
    policy: str
    market: MarketSnapshot
    found: BookMarkets
    unit: str
    tick: float
    delta_leg: BookPosition | None
    one_vega: OneVega | None
    notes: tuple[str, ...]


def price_request(path: Path, choice: MarketChoice, book_path: Path | None, policy_name: str) -> PricedRequest:
    """The quote for the request in `path`, against a book, by a policy.

    Errors      BadInputError and ConfigurationError where the request, its market, the book or the policy is of no use
    """
    request, reference = read_request(path), load_reference()
    policy = read_policy(policy_name)[0]
    options = [_option(path, leg.instrument, reference) for leg in request.legs]
    for option, leg in zip(options, request.legs, strict=True):
        option.size_lots(abs(leg.ratio) * request.size)
    underlying = options[0].contract.base
    book = _book_on(underlying, book_path, reference)
    found = find_markets(choice, sorted({underlying, *book.portfolio.underlyings}), reference)
    snapshot, beliefs = found.markets.of(underlying), found.beliefs[underlying]

    terms = RfqTerms(policy.rfq, policy.quoting, policy.hedging, cheaper_side_discount())
    delta_leg = None
    if request.delta_leg is not None:
        bare = leg_table(options, None, found.markets, beliefs)
        value = value_package(bare, _package(request, None), policy.rfq.error_correlation, terms.cheaper_side_discount)
        delta_leg = _delta_leg(request, request.delta_leg, value, underlying, found.markets, reference)
    table = leg_table(options, delta_leg, found.markets, beliefs)
    tick = min(option.tick_size for option in options)
    market = _market(table, terms, policy, book.portfolio, found.markets, beliefs, options[0], tick)
    competitors = policy.rfq.competitors if request.competitors is None else request.competitors
    ask = Ask(_package(request, delta_leg), request.size, request.ttl_s, competitors)
    return PricedRequest(
        request,
        quote_package(market, ask),
        policy.name,
        snapshot,
        found,
        options[0].contract.settle,
        tick,
        delta_leg,
        _one_vega(request, options, snapshot),
        (*book.notes, *found.notes),
    )


@dataclass(frozen=True)
class _Book:
    portfolio: Portfolio
    notes: tuple[str, ...]


def _book_on(underlying: str, path: Path | None, reference: ReferenceData) -> _Book:
    """The part of a book that shares the package's risk."""
    if path is None:
        return _Book(Portfolio(()), ("no book is given: the price is that of a flat one",))
    read = read_book(path, reference)
    positions = [position for position in read.portfolio.positions if position.underlying == underlying]
    others = len(read.portfolio.positions) - len(positions)
    left_out = (f"{path}: {others} positions on other underlyings do not count",) if others else ()
    return _Book(Portfolio(positions), (*read.notes, *left_out))


def _option(path: Path, name: str, reference: ReferenceData) -> Instrument:
    try:
        return reference.instrument(name)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from None


def _market(
    table: LegTable,
    terms: RfqTerms,
    policy: Policy,
    book: Portfolio,
    markets: Markets,
    beliefs: Beliefs,
    first: Instrument,
    tick: float,
) -> RfqMarket:
    snapshot = markets.of(first.contract.base)
    appetite = Appetite(policy.flow, policy.quoting.size_coin, policy.risk_price)
    price = no_risk_price()
    if policy.quoting.skew == "price_of_risk":
        core = risk_price_in(snapshot, beliefs, appetite)
        price = with_tails(core, book, snapshot.underlying, markets, beliefs, policy.risk_price)
    return RfqMarket(
        table,
        terms,
        snapshot.index_usd,
        markets.usd_per(first.contract.settle),
        book_exposure(book, snapshot.underlying, markets, beliefs),
        price,
        beliefs.covariance,
        tick,
    )


def _package(request: RfqRequest, delta_leg: BookPosition | None) -> Package:
    legs = [(row, float(leg.ratio)) for row, leg in enumerate(request.legs)]
    if delta_leg is None:
        return Package.of(legs)
    package = Package.of([*legs, (len(legs), 1.0 / request.size)])
    # A leg at a price off the market may cost more than the options are worth.
    return package if math.isnan(delta_leg.price) else package._replace(is_long_only=False)


def _delta_leg(
    request: RfqRequest,
    asked: DeltaLegRequest,
    value: PackageValue,
    underlying: str,
    markets: Markets,
    reference: ReferenceData,
) -> BookPosition:
    """As asked for; sized to the nearest lot that leaves no delta where no size is."""
    instrument = reference.instrument(asked.instrument)
    check_delta_leg(instrument, underlying)
    price = float("nan") if asked.price is None else asked.price
    if asked.size is not None:
        instrument.size_lots(asked.size)
        return BookPosition(instrument, asked.size, price)
    unit = BookPosition(instrument, 1.0, price)
    marked = Portfolio([replace(unit, price=float("nan"))]).mark(markets)
    per_unit = float(marked.basis_usd[0]) / markets.of(underlying).index_usd
    size = -value.delta_coin * request.size / per_unit
    return replace(unit, size=round(size / instrument.lot_size) * instrument.lot_size)


def _one_vega(request: RfqRequest, options: list[Instrument], snapshot: MarketSnapshot) -> OneVega | None:
    """The package as options of one vol; None where they do not expire together or are not all bought or all sold."""
    expiries = {option.contract.expiry_ns for option in options}
    ratios = np.array([leg.ratio for leg in request.legs], np.float64)
    (expiry_ns, *more) = expiries
    if more or expiry_ns is None or not (np.all(ratios > 0) or np.all(ratios < 0)):
        return None
    years = snapshot.years_to(expiry_ns)
    return OneVega(
        ratios,
        np.array([float(option.contract.strike or 0) for option in options]),
        np.array([float(option.contract.right.sign) if option.contract.right else 0.0 for option in options]),
        float(snapshot.forward_at(years)),
        years,
    )
