"""Contracts without expiry: QuantLib as the witness of perpetuals, mixtures and parity of everlasting options."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.valuation.contracts import Cell, parse_contract
from flatbook.valuation.exotics import EngineError, price, value
from flatbook.valuation.exotics.quantlib import npv, ql, with_engine

Cells = dict[str, Cell]

MARKET: Cells = {"style": "perpetual", "spot": 10_000.0, "rate": 0.04, "carry": 0.02}


def priced(*parts: Cells, **cells: Cell) -> float:
    merged: Cells = {}
    for part in parts:
        merged |= part
    return price(parse_contract(merged | cells))


def quantlib_perpetual(settlement: str, on: str, kappa: float, iota: float) -> float:
    """Quarterly funding on a spot of 10,000 with r = 4 % and q = 2 %."""
    today = ql.Settings.instance().evaluationDate
    rate, dividend = (
        ql.YieldTermStructureHandle(ql.FlatForward(today, level, ql.Actual365Fixed())) for level in (0.04, 0.02)
    )
    engine = ql.DiscountingPerpetualFuturesEngine(
        rate, dividend, ql.QuoteHandle(ql.SimpleQuote(10_000.0)), [0.0], [kappa], [iota]
    )
    payoff = {"linear": ql.PerpetualFutures.Linear, "inverse": ql.PerpetualFutures.Inverse}[settlement]
    funding = {
        "previous": ql.PerpetualFutures.FundingWithPreviousSpot,
        "current": ql.PerpetualFutures.FundingWithCurrentSpot,
    }[on]
    future = ql.PerpetualFutures(
        payoff, funding, ql.Period(3, ql.Months), ql.NullCalendar(), ql.ActualActual(ql.ActualActual.ISDA)
    )
    return npv(with_engine(future, engine))


@pytest.mark.parametrize("settlement", ["linear", "inverse"])
@pytest.mark.parametrize("on", ["previous", "current"])
@pytest.mark.parametrize("kappa", [0.01, 0.3])
def test_quarterly_funding_against_quantlib(settlement: str, on: str, kappa: float) -> None:
    found = priced(
        MARKET, settlement=settlement, funding_spot=on, funding_kappa=kappa, funding_iota=0.005, funding_years=0.25
    )
    assert found == pytest.approx(quantlib_perpetual(settlement, on, kappa, 0.005), rel=1e-8)


@pytest.mark.parametrize("settlement", ["linear", "inverse"])
def test_ever_shorter_periods_become_continuous(settlement: str) -> None:
    always = priced(MARKET, settlement=settlement, funding_kappa=2.0, funding_iota=0.01)
    period = 1e-6
    often = priced(
        MARKET, settlement=settlement, funding_kappa=2.0 * period, funding_iota=0.01 * period, funding_years=period
    )
    assert often == pytest.approx(always, rel=1e-7)


@given(kappa=st.floats(0.1, 100.0), iota=st.floats(-0.05, 0.05), carry=st.floats(-0.09, 0.09))
@settings(deadline=None)
def test_an_inverse_perpetual_is_a_linear_one_in_coin(kappa: float, iota: float, carry: float) -> None:
    """Seen from the coin, the dollar has price 1/S and the opposite carry."""
    cells: Cells = {"funding_kappa": kappa, "funding_iota": iota}
    inverse = priced(MARKET, cells, settlement="inverse", carry=carry)
    in_coin = priced(MARKET, cells, spot=1.0 / 10_000.0, carry=-carry)
    assert inverse * in_coin == pytest.approx(1.0, rel=1e-12)


def test_a_perpetual_has_a_delta_and_a_rho_and_nothing_optional() -> None:
    found = value(parse_contract(MARKET | {"funding_kappa": 0.2, "funding_iota": 0.005})).measures
    assert found.delta == pytest.approx(found.price / 10_000.0, rel=1e-10)
    assert found.rho == pytest.approx(found.price / 0.18, rel=1e-7)
    assert (found.vega, found.theta, found.vanna, found.volga, found.charm) == (0.0, 0.0, 0.0, 0.0, 0.0)
    assert abs(found.gamma) < 1e-12


def test_a_squared_perpetual() -> None:
    found = value(parse_contract(MARKET | {"funding_kappa": 10.0, "power": 2.0, "vol": 0.6, "carry": 0.0})).measures
    assert found.price == pytest.approx(1e8 * 10.0 / (10.0 - 0.36), rel=1e-12)
    assert found.gamma == pytest.approx(2e-8 * found.price, rel=1e-6)
    assert found.vega == pytest.approx(found.price * 2.0 * 0.6 / (10.0 - 0.36), rel=1e-6)


@pytest.mark.parametrize("cells", [{"funding_kappa": 0.3, "power": 2.0, "vol": 0.6}, {"funding_kappa": 0.02}])
def test_funding_too_weak_for_the_drift_has_no_price(cells: Cells) -> None:
    with pytest.raises(EngineError, match=r"funding_kappa: 0\.0?[23] is too weak"):
        priced(MARKET, cells)


EVERLASTING: Cells = {"style": "everlasting", "strike": 60_000.0, "spot": 61_000.0, "vol": 0.7, "carry": 0.03}


def test_an_everlasting_option_is_a_mixture_of_daily_expiries() -> None:
    """Half of tomorrow's option, a quarter of the next day's: at no rate an American is a European one."""
    days = [
        2.0**-n * priced(EVERLASTING, style="american", right="call", rate=0.0, carry=0.0, years=n / 365.0)
        for n in range(1, 60)
    ]
    assert priced(EVERLASTING, right="call", rate=0.0, carry=0.0) == pytest.approx(sum(days), rel=1e-8)


@given(kappa=st.floats(0.05, 5.0), period=st.floats(1e-4, 0.1))
@settings(deadline=None)
def test_everlasting_parity(kappa: float, period: float) -> None:
    cells: Cells = {"funding_kappa": kappa, "funding_years": period, "rate": 0.05}
    call, put = (priced(EVERLASTING, cells, right=right) for right in ("call", "put"))

    def annuity(rate: float) -> float:
        """sum of kappa / (1 + kappa)^n e^{rate n period}."""
        return kappa / ((1.0 + kappa) * math.exp(-rate * period) - 1.0)

    assert call - put == pytest.approx(61_000.0 * annuity(0.03 - 0.05) - 60_000.0 * annuity(-0.05), rel=1e-9)
