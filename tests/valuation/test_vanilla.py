"""European and inverse contracts by column: published figures, differences of the price, and parity in coin."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flatbook.kernels.implied import BELOW_INTRINSIC, NO_INFORMATION, OK
from flatbook.valuation.contracts import Cell, parse_contract
from flatbook.valuation.exotics.barriers import vanilla_value
from flatbook.valuation.exotics.greeks import measure
from flatbook.valuation.exotics.reprice import Repricer
from flatbook.valuation.measures import PRINTED_SCALE, PRINTED_UNITS, Measures
from flatbook.valuation.vanilla import columns_of, implied_vol_columns, value_columns

GOLDEN = Path(__file__).parents[1] / "golden"

Row = dict[str, str]


def golden(name: str) -> list[Row]:
    with (GOLDEN / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def valued(**cells: Cell) -> Measures:
    return Measures(*value_columns(columns_of([parse_contract(cells)]))[:, 0].tolist())


def european(row: Row, **changed: Cell) -> Measures:
    names = ("right", "strike", "spot", "rate", "years", "vol")
    cells: dict[str, Cell] = {name: row[name] for name in names}
    cells["carry"] = float(row["rate"]) - float(row["yield"])
    return valued(style="european", **(cells | changed))


@pytest.mark.parametrize("row", golden("black_scholes_prices"), ids=lambda row: row["id"])
def test_published_prices(row: Row) -> None:
    assert european(row).price == pytest.approx(float(row["price"]), abs=1e-4)


@pytest.mark.parametrize("row", golden("black_scholes_greeks"), ids=lambda row: row["id"])
def test_published_greeks(row: Row) -> None:
    found, spot = european(row), float(row["spot"])
    carry = float(row["rate"]) - float(row["yield"])
    by_carry = (european(row, carry=carry + 1e-5).price - european(row, carry=carry - 1e-5).price) / 2e-5
    greeks = found._asdict() | {
        "elasticity": found.delta * spot / found.price,
        "theta (per day, /365)": found.theta * PRINTED_SCALE.theta,
        "dividend rho": -by_carry,
    }
    assert greeks[row["greek"]] == pytest.approx(float(row["value"]), abs=1e-4)


@pytest.mark.parametrize("row", golden("inverse_options"), ids=lambda row: row["id"])
def test_published_inverse_values(row: Row) -> None:
    numerator, denominator = row["years"].split("/")
    cells: dict[str, Cell] = {name: row[name] for name in ("right", "strike", "forward", "vol")}
    cells |= {"years": float(numerator) / float(denominator), "rate": 0.0, "carry": 0.0}
    coin, usd = valued(style="inverse", **cells), valued(style="european", **cells)
    assert coin.price == pytest.approx(float(row["coin_price"]), rel=1e-9)
    assert usd.price == pytest.approx(float(row["usd_price"]), rel=1e-8)
    assert coin.delta == pytest.approx(float(row["black_delta"]), rel=1e-9)
    assert coin.delta - coin.price == pytest.approx(float(row["net_delta"]), rel=1e-8)
    assert coin.gamma == pytest.approx(float(row["gamma"]), rel=1e-9)
    assert coin.vega * PRINTED_SCALE.vega == pytest.approx(float(row["vega_per_point"]), rel=1e-9)
    assert coin.theta * PRINTED_SCALE.theta == pytest.approx(float(row["theta_per_day"]), rel=1e-8)


MARKETS = st.fixed_dictionaries(
    {
        "strike": st.floats(80.0, 125.0),
        "vol": st.floats(0.2, 1.5),
        "years": st.floats(0.01, 2.0),
        "rate": st.floats(-0.05, 0.1),
        "carry": st.floats(-0.1, 0.1),
    }
)


@given(market=MARKETS, right=st.sampled_from(["call", "put"]), quoted=st.sampled_from(["spot", "forward"]))
@settings(deadline=None, max_examples=60)
def test_every_greek_is_a_derivative_of_the_price(market: dict[str, Cell], right: str, quoted: str) -> None:
    cells: dict[str, Cell] = market | {"style": "european", "right": right, quoted: 100.0}
    contract = parse_contract(cells)
    found = valued(**cells)
    bumped = measure(contract, Repricer(lambda point: vanilla_value(contract, point), "black"))
    vol, years = float(market["vol"] or 0), float(market["years"] or 0)
    width = 100.0 * vol * math.sqrt(years)
    sizes = Measures(
        price=width,
        delta=1.0,
        gamma=1.0 / width,
        vega=width / vol,
        theta=width / years,
        rho=100.0 * years,
        vanna=1.0 / vol,
        volga=width / vol**2,
        charm=1.0 / years,
        speed=1.0 / width**2,
        zomma=1.0 / width / vol,
        color=1.0 / width / years,
    )
    for name in Measures._fields:
        error = abs(getattr(found, name) - getattr(bumped, name)) / getattr(sizes, name)
        assert error < (1e-4 if name == "speed" else 3e-5), name


@given(market=MARKETS)
@settings(deadline=None)
def test_parity_in_coin(market: dict[str, Cell]) -> None:
    """c_call - c_put = D_c (1 - K / F), with the coin's own discount D_c = e^{-(r - b) T}."""
    call, put = (valued(style="inverse", right=right, forward=100.0, **market) for right in ("call", "put"))
    strike, years = float(market["strike"] or 0), float(market["years"] or 0)
    coin_discount = math.exp((float(market["carry"] or 0) - float(market["rate"] or 0)) * years)
    assert call.price - put.price == pytest.approx(coin_discount * (1.0 - strike / 100.0), abs=1e-14)


@pytest.mark.parametrize("row", golden("implied_vol_round_trips"), ids=lambda row: row["id"])
def test_published_implied_vols(row: Row) -> None:
    cells: dict[str, Cell] = {name: row[name] for name in ("right", "strike", "forward")}
    contract = parse_contract(cells | {"style": "european", "years": 1.0, "rate": 0.0, "carry": 0.0}, implied=True)
    vol, reason = implied_vol_columns(columns_of([contract]), np.array([float(row["price"])]))
    assert reason[0] == OK
    assert vol[0] == pytest.approx(float(row["width"]), rel=1e-13)


@given(market=MARKETS, style=st.sampled_from(["european", "inverse"]), quoted=st.sampled_from(["spot", "forward"]))
@settings(deadline=None)
def test_implied_vol_is_undone_by_pricing(market: dict[str, Cell], style: str, quoted: str) -> None:
    right = "put" if float(market["strike"] or 0.0) < 100.0 else "call"  # in the money, a price may say nothing of vol
    cells: dict[str, Cell] = market | {"style": style, "right": right, quoted: 100.0}
    columns = columns_of([parse_contract(cells)])
    price = value_columns(columns)[0]
    vol, reason = implied_vol_columns(columns, price)
    assert reason[0] == OK
    assert value_columns(columns_of([parse_contract(cells | {"vol": float(vol[0])})]))[0] == pytest.approx(
        price, rel=1e-9
    )


def test_a_price_no_vol_gives_has_a_reason() -> None:
    cells: dict[str, Cell] = {"style": "european", "right": "call", "strike": 90.0, "forward": 100.0, "years": 1.0}
    columns = columns_of([parse_contract(cells | {"vol": 0.5, "rate": 0.0, "carry": 0.0})] * 2)
    vol, reason = implied_vol_columns(columns, np.array([9.0, 10.0]))
    assert reason.tolist() == [BELOW_INTRINSIC, NO_INFORMATION]
    assert np.isnan(vol).all()


def test_blocks_of_rows_leave_no_seam() -> None:
    """More rows than a block holds, the last block short."""
    cells: dict[str, Cell] = {"style": "european", "right": "call", "strike": 90.0, "spot": 100.0, "years": 1.0}
    one = columns_of([parse_contract(cells | {"vol": 0.5, "rate": 0.02, "carry": 0.01})])
    many = columns_of([parse_contract(cells | {"vol": 0.5, "rate": 0.02, "carry": 0.01})] * 5_000)
    assert (value_columns(many) == value_columns(one)).all()


def test_every_measure_has_a_unit() -> None:
    assert tuple(PRINTED_UNITS) == Measures._fields
