"""A two-sided price for a package: fair value, spread and inventory, which add up, and what each spread is made of.

    bid = fair - spread - inventory        ask = fair + spread + inventory        (each side has its own)

inventory   what the whole package adds to the charge, R(x ± N g) - R(x) for N packages, per package. Where the maker
            hedges at the fill it is R after the best hedge: R~(x) = min over n of R(x + n h) + c |n|, whose closed form
            for one instrument is R(x) - max(|R'(x) h| - c, 0)^2 / (2 h'R''h); what that hedge costs is in the spread
spread      winner's curse + fees + hedge + what this taker knows + the option that a standing quote gives away, and
            on all that, and on the inventory, the markup that makes the most of the win probability

So a package that relieves the book is priced through fair, by as much as that does not waste.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flatbook.decide.policy import HedgingPolicy, QuotingPolicy
from flatbook.decide.rfq.package import LegTable, Package, PackageValue, learned_charges, value_package
from flatbook.decide.rfq.policy import RfqPolicy
from flatbook.decide.rfq.winning import TakerView, WinCurve, best_markup, curse_deviations, free_option, prior_view
from flatbook.kernels.chain import FACTORS, PREMIUM, SPOT
from flatbook.valuation.inventory import PERPETUAL
from flatbook.valuation.risk_price import RiskPrice

Floats = NDArray[np.float64]

SECONDS_PER_YEAR = 365 * 86_400.0
_SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class RfqTerms:
    """What answering costs and is believed to bring: a policy's sections, and the venue's rule for combos.

    cheaper_side_discount   see `package.value_package`
    """

    rfq: RfqPolicy
    quoting: QuotingPolicy
    hedging: HedgingPolicy
    cheaper_side_discount: float


class RfqMarket:
    """A market that is ready to price any package of its legs.

    table           the contracts
    index_usd       of the underlying
    usd_per_unit    price of the settlement currency
    exposure        (FACTORS,) the book's, USD per unit of factor
    covariance      (FACTORS, FACTORS) per year
    tick            of the package's price, in the settlement currency
    widen           the maker's mood: what its spreads are times those of calm
    """

    def __init__(
        self,
        table: LegTable,
        terms: RfqTerms,
        index_usd: float,
        usd_per_unit: float,
        exposure: Floats,
        risk_price: RiskPrice,
        covariance: Floats,
        tick: float,
        widen: float = 1.0,
    ) -> None:
        self.table, self.terms, self.index_usd, self.tick = table, terms, index_usd, tick
        self.usd_per_unit, self.widen = usd_per_unit, widen
        gradient = risk_price.gradient(exposure)
        # One product with g then gives all that is quadratic in it or linear: R'' g, Σ g and R'(x) g.
        self.stacked = np.concatenate([risk_price.curvature, covariance, gradient[None]])
        self.slope, self.bend = float(PERPETUAL @ gradient), float(PERPETUAL @ risk_price.curvature @ PERPETUAL)
        self.hedges = terms.rfq.hedge_at_fill and terms.hedging.rule == "price_of_risk" and self.bend > 0.0
        self.hedge_cost_rate = terms.hedging.fee_rate + terms.hedging.half_spread_rate
        self.view = prior_view(terms.rfq.dispersion)
        self.unfit = tuple(_unfit_leg(table, row, terms.quoting) for row in range(len(table.names)))


class Ask(NamedTuple):
    """What is asked for: N packages, a quote that stands for so long, from whom, beside how many others.

    beside_usd      what buying and what selling all of them adds to R beside what their loadings say
    """

    package: Package
    size: float
    ttl_s: float
    competitors: float
    taker: TakerView | None = None
    beside_usd: tuple[float, float] = (0.0, 0.0)


class SideQuote(NamedTuple):
    """One side; all in the settlement currency per package, seen as distances from fair, costs positive.

    exact       fair -+ (spread + inventory), before rounding; price is on the tick, away from fair
    probability of winning at `price`; gain what is expected to be earned there, probability x (distance - cost)
    """

    inventory: float
    winners_curse: float
    fees: float
    hedge: float
    toxicity: float
    free_option: float
    markup: float
    spread: float
    exact: float
    price: float
    probability: float
    gain: float


class PackageQuote(NamedTuple):
    """A two-sided quote for `size` packages; `bid` is None where it would be at or below 0 for what is worth more.

    ttl_deviation   of fair over the quote's life, in the settlement currency per package
    typical         the half-spread that competitors are believed to ask
    """

    value: PackageValue
    bid: SideQuote | None
    ask: SideQuote
    size: float
    ttl_deviation: float
    typical: float


class Refusal(NamedTuple):
    """Why there is no quote; every reason, each with its numbers."""

    reasons: tuple[str, ...]


class _Parts(NamedTuple):
    """Of one side's price but the markup, as in `SideQuote`."""

    inventory: float
    winners_curse: float
    fees: float
    hedge: float
    toxicity: float
    free_option: float


class _Charge(NamedTuple):
    """Of a trade, USD per package."""

    inventory: float
    hedge: float


def quote_package(market: RfqMarket, ask: Ask) -> PackageQuote | Refusal:
    """The quote, or why there is none."""
    terms = market.terms
    value = value_package(market.table, ask.package, terms.rfq.error_correlation, terms.cheaper_side_discount)
    reasons = _unfit(market, ask, value)
    if reasons:
        return Refusal(tuple(reasons))
    usd = market.usd_per_unit
    view = ask.taker or market.view
    typical = _typical_usd(market, value)
    curve = view.curve(ask.competitors, terms.rfq.walk_away_odds, typical)
    curse = terms.rfq.curse_share * curse_deviations(ask.competitors) * value.error_usd
    fees = terms.quoting.fee_share * value.fee_usd
    known = max(view.toxicity, 0.0) * typical
    if terms.quoting.adverse_selection == "fixed":
        known += terms.quoting.adverse_selection_vol * 100 * value.vega_by_expiry_usd
    toxicity = [known + learned for learned in learned_charges(market.table, ask.package)]

    product = market.stacked.dot(value.loading)
    charged, variance = float(product[:FACTORS].dot(value.loading)), float(product[FACTORS:-1].dot(value.loading))
    slope, along = float(product[-1]), float(product[SPOT] + product[PREMIUM])
    deviation = math.sqrt(max(variance, 0.0) * ask.ttl_s / SECONDS_PER_YEAR)
    edge = curse + fees + min(toxicity) + 1.0 / curve.b
    if deviation > terms.rfq.max_ttl_deviation * edge:
        longest_s = ask.ttl_s * (terms.rfq.max_ttl_deviation * edge / deviation) ** 2
        return Refusal((f"fair moves too much in {ask.ttl_s:g} s: ask for at most {longest_s:.3g} s",))
    # At a markup of 1/b, the least there is: an upper bound that needs no fixed point.
    option = free_option(deviation, edge)

    sides = []
    for side, toxic, beside in zip((1.0, -1.0), toxicity, ask.beside_usd, strict=True):
        charge = _charge(market, value, side * ask.size, slope, charged, along)
        inventory = charge.inventory + beside / ask.size
        parts = _Parts(inventory / usd, curse / usd, fees / usd, charge.hedge / usd, toxic / usd, option / usd)
        sides.append(_side(parts, side, value.fair, WinCurve(curve.a, curve.b * usd), market))
    bid, offer = sides
    is_bid = bid.price > 0.0 or not ask.package.is_long_only
    return PackageQuote(value, bid if is_bid else None, offer, ask.size, deviation / usd, typical / usd)


def _typical_usd(market: RfqMarket, value: PackageValue) -> float:
    """The half-spread that competitors are believed to ask: what they want, and the fees that they pay as we do."""
    rfq = market.terms.rfq
    by_vega = rfq.typical_half_spread_vol * 100 * value.vega_by_expiry_usd
    return value.fee_usd + math.hypot(by_vega, rfq.typical_half_spread_coin * market.index_usd * value.root_squares)


def _charge(
    market: RfqMarket, value: PackageValue, count: float, slope: float, charged: float, along: float
) -> _Charge:
    """What buying `count` packages (negative: selling) adds to R, per package, and what its hedge costs.

    slope, charged, along   R'(x) g, g'R''g and h'R''g of one package, h being one USD of the perpetual
    """
    size, rate = abs(count), market.hedge_cost_rate
    added = (count * slope + 0.5 * count * count * charged) / size
    if not market.hedges:
        return _Charge(added, market.terms.quoting.hedge_cost_share * rate * abs(value.delta_coin) * market.index_usd)
    before = max(abs(market.slope) - rate, 0.0)
    after = max(abs(market.slope + count * along) - rate, 0.0)
    hedge = rate * (after - before) / market.bend / size
    saved = 0.5 * (after * after - before * before) / market.bend / size
    return _Charge(added - saved - hedge, hedge)


def _side(parts: _Parts, side: float, fair: float, curve: WinCurve, market: RfqMarket) -> SideQuote:
    """One side from inventory and the spread's parts; `side` is +1 for our bid: we buy."""
    inventory, curse, fees, hedge, toxicity, option = parts
    tick, asked = market.tick, curse + fees + hedge + toxicity + option
    cost = inventory + asked
    markup = best_markup(curve, cost).markup
    if market.widen > 1.0:
        markup += (market.widen - 1.0) * max(asked + markup, 0.0)
    spread = asked + markup
    exact = fair - side * (spread + inventory)
    whole = exact / tick
    price = (math.floor(whole + _SLACK) if side > 0.0 else math.ceil(whole - _SLACK)) * tick
    distance = side * (fair - price)
    probability = curve.probability(distance)
    return SideQuote(*parts, markup, spread, exact, price, probability, probability * (distance - cost))


def _unfit_leg(table: LegTable, row: int, quoting: QuotingPolicy) -> str:
    """Why a contract is not quoted; empty where it may be."""
    name, hours, error = table.names[row], table.hours[row], table.vol_error[row]
    if hours <= 0.0:
        return f"{name} has expired"
    if hours < quoting.min_hours:
        return f"{name} expires in {hours:.2g} hours, sooner than {quoting.min_hours:g}"
    if not math.isfinite(error):
        return f"{name}: its smile is not known"
    if error > quoting.max_surface_error_vol:
        return f"{name}: its smile is known to {error:.3f} only, in vol; {quoting.max_surface_error_vol:g} is the most"
    return "" if math.isfinite(table.columns[row, 0]) else f"{name} has no fair value"


def _unfit(market: RfqMarket, ask: Ask, value: PackageValue) -> list[str]:
    """Why a package is not quoted, whatever its price."""
    rfq, size = market.terms.rfq, ask.size
    reasons = [reason for row, _ in ask.package.legs if (reason := market.unfit[row])]
    if ask.ttl_s > rfq.max_ttl_s:
        reasons.append(f"a quote for {ask.ttl_s:g} s stands longer than {rfq.max_ttl_s:g} s")
    if abs(value.delta_coin) * size > rfq.max_delta_coin:
        reasons.append(_beyond("delta in coins", value.delta_coin * size, rfq.max_delta_coin))
    if abs(value.gamma_1pct_usd) * size > rfq.max_gamma_1pct_usd:
        reasons.append(_beyond("gamma in USD per 1 %", value.gamma_1pct_usd * size, rfq.max_gamma_1pct_usd))
    if abs(value.vega_usd) * size > rfq.max_vega_usd:
        reasons.append(_beyond("vega in USD per vol point", value.vega_usd * size, rfq.max_vega_usd))
    return reasons


def _beyond(what: str, amount: float, most: float) -> str:
    return f"{what} of {amount:,.6g} is beyond {most:,.6g}"
