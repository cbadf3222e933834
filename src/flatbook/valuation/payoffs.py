"""What a contract over the counter pays, and when: at expiry from where it ends and what happened on its way, or at the
hit of a barrier. In its quote currency per contract; `in_settlement` turns that into what the ledger books.
"""

from __future__ import annotations

from flatbook.valuation.contracts import (
    AsianTerms,
    Barrier,
    Contract,
    DigitalTerms,
    LookbackTerms,
    MinMaxTerms,
    QuantityTerms,
    SpreadTerms,
    Style,
    TouchTerms,
    TwoAssetBarrierTerms,
    TwoAssetCorrelationTerms,
)
from flatbook.valuation.otc import OtcTerms, PathState, may_live_on


def payoff(terms: OtcTerms, path: PathState, spot: float, spot2: float) -> float:
    """At expiry, the prices being `spot` and `spot2` (NaN where the contract is on one asset).

    Errors      BadInputError where `path` lacks an average that had begun
    """
    contract = terms.template
    match contract.terms:
        case None:
            return _intrinsic(contract, spot)
        case Barrier() as watched:
            return _intrinsic(contract, spot) if _lives(watched, path, spot) else watched.rebate
        case DigitalTerms() as digital:
            return _digital(contract, digital, path, spot)
        case TouchTerms() as touch:
            return (spot if touch.pays_asset else touch.cash) if _lives(touch.barrier, path, spot) else 0.0
        case AsianTerms():
            return _intrinsic(contract, terms.average_at(terms.expiry_ns, path, spot))
        case LookbackTerms():
            worst = min if contract.sign > 0 else max
            return abs(spot - (worst(path.extreme, spot) if path.extreme > 0.0 else spot))
        case _:
            return _on_two(contract, path, spot, spot2)


def payoff_at_hit(terms: OtcTerms, spot: float) -> float | None:
    """What is paid right when the barrier is hit, which ends the contract; None where it goes on."""
    if terms.barrier is None or may_live_on(terms):
        return None
    match terms.template.terms:
        case TouchTerms(at_hit=True) as touch:
            return spot if touch.pays_asset else touch.cash
        case Barrier(rebate=rebate) | TwoAssetBarrierTerms(barrier=Barrier(rebate=rebate)):
            return rebate
        case _:
            return 0.0


def in_settlement(terms: OtcTerms, amount: float, spot: float) -> float:
    """An amount of the quote currency as one of the settlement currency: coins at the spot of the moment."""
    return amount / spot if terms.pays_coin else amount


def _intrinsic(contract: Contract, price: float) -> float:
    return max(contract.sign * (price - contract.strike), 0.0)


def _lives(watched: Barrier, path: PathState, spot: float) -> bool:
    """Whether a knock-in was knocked in, or a knock-out never out; the last price counts too."""
    return (path.was_hit or watched.touched(spot)) == watched.is_in


def _digital(contract: Contract, digital: DigitalTerms, path: PathState, spot: float) -> float:
    lives = digital.barrier is None or _lives(digital.barrier, path, spot)
    if not lives or contract.sign * (spot - contract.strike) <= 0.0:
        return 0.0
    return spot if digital.pays_asset else digital.cash


def _on_two(contract: Contract, path: PathState, spot: float, spot2: float) -> float:
    sign, strike = contract.sign, contract.strike
    match contract.terms:
        case QuantityTerms(quantity1=quantity1, quantity2=quantity2) if contract.style is Style.EXCHANGE:
            return max(sign * (quantity1 * spot - quantity2 * spot2), 0.0)
        case QuantityTerms(quantity1=quantity1, quantity2=quantity2):
            return max(sign * (quantity1 * spot + quantity2 * spot2 - strike), 0.0)
        case SpreadTerms():
            return max(sign * (spot - spot2 - strike), 0.0)
        case MinMaxTerms(is_max=is_max):
            return _intrinsic(contract, max(spot, spot2) if is_max else min(spot, spot2))
        case TwoAssetBarrierTerms(barrier=watched):
            return _intrinsic(contract, spot) if _lives(watched, path, spot2) else watched.rebate
        case TwoAssetCorrelationTerms(strike2=strike2):
            return max(sign * (spot2 - strike2), 0.0) if sign * (spot - strike) > 0.0 else 0.0
        case other:
            raise AssertionError(other)
