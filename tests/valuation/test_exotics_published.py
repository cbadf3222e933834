"""Every published figure that an exotic contract can be held against, row by row, within its source's tolerance."""

import csv
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from flatbook.valuation.contracts import Cell, parse_contract
from flatbook.valuation.exotics import price, value
from flatbook.valuation.exotics.asian import discrete_average
from flatbook.valuation.exotics.models import Jumps, StochasticVariance, Vanilla, heston, merton
from flatbook.valuation.exotics.quantlib import black_value

GOLDEN = Path(__file__).parents[1] / "golden"

Row = dict[str, str]


def golden(name: str) -> list[Row]:
    with (GOLDEN / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def published(name: str) -> pytest.MarkDecorator:
    rows = golden(name)
    return pytest.mark.parametrize("row", rows, ids=[row["id"] for row in rows])


def priced(**cells: Cell) -> float:
    return price(parse_contract(cells))


def carry_of(row: Row, suffix: str = "") -> float:
    return float(row["rate"]) - float(row[f"yield{suffix}"])


def american(row: Row, method: str = "") -> float:
    shared = {name: row[name] for name in ("right", "strike", "spot", "years", "rate", "vol")}
    return priced(style="american", carry=carry_of(row), method=method, **shared)


@published("american_baw")
def test_barone_adesi_whaley(row: Row) -> None:
    found = american(row, "barone_adesi_whaley")
    assert found == pytest.approx(float(row["recomputed"]), abs=1e-4)
    assert found == pytest.approx(float(row["published"]), abs=3e-3)


@published("american_bjerksund_stensland")
def test_bjerksund_stensland(row: Row) -> None:
    assert american(row, "bjerksund_stensland") == pytest.approx(float(row["published"]), abs=5e-5)
    assert american(row) == pytest.approx(float(row["tree"]), abs=2e-4)


@published("american_ju")
def test_american_against_a_converged_tree(row: Row) -> None:
    tolerance = 2e-3 if float(row["years"]) < 1.0 else 5e-3
    assert american(row) == pytest.approx(float(row["tree"]), abs=tolerance)


KINDS = {"DownOut": "down_out", "DownIn": "down_in", "UpOut": "up_out", "UpIn": "up_in"}


@published("barriers")
def test_barriers_with_a_rebate(row: Row) -> None:
    shared = {name: row[name] for name in ("right", "strike", "vol", "barrier")}
    market = {"spot": 100.0, "rate": 0.08, "carry": 0.04, "years": 0.5}
    found = priced(style="barrier", barrier_kind=KINDS[row["kind"]], rebate=3.0, **shared, **market)
    assert found == pytest.approx(float(row["price"]), abs=1e-4)


def digital(pays: str, **cells: Cell) -> float:
    return priced(style="digital", payoff=pays, **cells)


def test_cash_or_nothing() -> None:
    cells: dict[str, Cell] = {"strike": 80.0, "spot": 100.0, "rate": 0.06, "carry": 0.0, "years": 0.75, "vol": 0.35}
    assert digital("cash", right="put", cash=10.0, **cells) == pytest.approx(2.671, abs=1e-4)


def test_gap_call_is_an_asset_less_a_cash_digital() -> None:
    cells: dict[str, Cell] = {"strike": 50.0, "spot": 50.0, "rate": 0.09, "carry": 0.09, "years": 0.5, "vol": 0.2}
    gap = digital("asset", right="call", **cells) - digital("cash", right="call", cash=57.0, **cells)
    assert gap == pytest.approx(-0.0053, abs=1e-4)


@pytest.mark.parametrize(
    ("spot", "kind", "payoff", "pay_at", "expected"),
    [
        (105.0, "down_in", "cash", "hit", 9.7264),
        (95.0, "up_in", "cash", "hit", 11.6553),
        (95.0, "up_in", "cash", "expiry", 11.2223),
        (105.0, "down_out", "cash", "expiry", 4.9081),
        (95.0, "up_out", "cash", "expiry", 3.0461),
        (105.0, "down_in", "asset", "hit", 64.8426),
        (95.0, "up_in", "asset", "hit", 77.7017),
    ],
)
def test_touches(spot: float, kind: str, payoff: str, pay_at: str, expected: float) -> None:
    market = {"spot": spot, "rate": 0.1, "carry": 0.1, "years": 0.5, "vol": 0.2}
    cells: dict[str, Cell] = {"payoff": payoff, "cash": 15.0, "barrier": 100.0, "barrier_kind": kind, "pay_at": pay_at}
    assert priced(style="touch", **cells, **market) == pytest.approx(expected, abs=1e-4)


@published("barrier_binaries")
@pytest.mark.parametrize("style", ["digital", "touch"])
def test_barrier_binaries(row: Row, style: str) -> None:
    shared = {name: row[name] for name in ("right", "strike", "spot")}
    market = {"rate": 0.1, "carry": 0.1, "years": 0.5, "vol": 0.2}
    barrier: dict[str, Cell] = {"barrier": 100.0, "barrier_kind": KINDS[row["kind"]], "pay_at": "expiry"}
    found = priced(style=style, payoff="cash", cash=15.0, **shared, **market, **barrier)
    assert found == pytest.approx(float(row["price"]), abs=1e-4)


@published("asian_vol_term_structure")
def test_asian_with_a_vol_term_structure(row: Row) -> None:
    index = np.arange(26)
    vols = {"flat": np.full(26, 0.2), "up": 0.075 + 0.005 * index, "down": 0.325 - 0.005 * index}[row["vols"]]
    times = 1 / 52 + index * (0.5 - 1 / 52) / 25
    average = discrete_average(np.full(26, 100.0), vols**2 * times)
    sign = 1 if row["right"] == "call" else -1
    width = math.sqrt(average.log_variance)
    found = black_value(sign, float(row["strike"]), average.mean, width, math.exp(-0.05 * 0.5))
    assert found == pytest.approx(float(row["price"]), abs=1e-4)


@pytest.mark.parametrize("row", [row for row in golden("asian_vol_term_structure") if row["vols"] == "flat"])
def test_asian_row_with_a_flat_vol(row: Row) -> None:
    cells: dict[str, Cell] = {"average": "arithmetic", "fixings": 26, "first_fixing_years": 1 / 52, "years": 0.5}
    market = {"forward": 100.0, "rate": 0.05, "carry": 0.0, "vol": 0.2}
    found = priced(style="asian", right=row["right"], strike=row["strike"], **cells, **market)
    assert found == pytest.approx(float(row["price"]), abs=1e-4)


class Average(NamedTuple):
    right: str
    market: Row
    terms: Row
    expected: float
    tolerance: float


LEVY = {"spot": "6.80", "strike": "6.90", "rate": "0.07", "carry": "-0.02", "years": "0.5", "vol": "0.14"}
AVERAGES = {
    "geometric, continuous": Average(
        "put",
        {"spot": "80", "strike": "85", "rate": "0.05", "carry": "0.08", "years": "0.25", "vol": "0.2"},
        {"average": "geometric", "fixings": "0"},
        4.6922,
        1e-4,
    ),
    "geometric, ten fixings": Average(
        "call",
        {"spot": "100", "strike": "100", "rate": "0.06", "carry": "0.03", "years": "1", "vol": "0.2"},
        {"average": "geometric", "fixings": "10", "first_fixing_years": "0.1"},
        5.342560663,
        1e-9,
    ),
    "Levy call": Average("call", LEVY, {"average": "arithmetic", "fixings": "0"}, 0.0944, 1e-4),
    "Levy put": Average("put", LEVY, {"average": "arithmetic", "fixings": "0"}, 0.2237, 1e-4),
}


@pytest.mark.parametrize("case", AVERAGES.values(), ids=AVERAGES.keys())
def test_other_averages(case: Average) -> None:
    found = priced(style="asian", right=case.right, **case.market, **case.terms)
    assert found == pytest.approx(case.expected, abs=case.tolerance)


@published("asian_levy_elapsed")
def test_levy_partly_elapsed(row: Row) -> None:
    elapsed = float(row["elapsed"])
    terms: dict[str, Cell] = {"average": "arithmetic", "fixings": 0, "average_so_far": 100.0, "elapsed_years": elapsed}
    market: dict[str, Cell] = {"spot": 100.0, "rate": 0.1, "carry": 0.05, "years": 0.75 - elapsed, "vol": row["vol"]}
    found = priced(style="asian", right="call", strike=row["strike"], **terms, **market)
    assert found == pytest.approx(float(row["price"]), abs=1e-4)


@published("exchange_margrabe")
def test_exchange_and_its_greeks(row: Row) -> None:
    names = ("spot", "spot2", "quantity1", "quantity2", "years", "vol", "vol2", "correlation")
    cells: dict[str, Cell] = {"style": "exchange", "rate": 0.1, "carry": 0.04, "carry2": 0.06}
    found = value(parse_contract(cells | {name: row[name] for name in names}))
    assert found.second is not None
    assert found.measures.price == pytest.approx(float(row["price"]), abs=1e-3)
    assert found.measures.delta == pytest.approx(float(row["delta"]), abs=1e-3)
    assert found.measures.gamma == pytest.approx(float(row["gamma"]), abs=1e-3)
    assert found.second.delta2 == pytest.approx(float(row["delta2"]), abs=1e-3)
    # The source's gamma2 is to the worth of the second leg, quantity2 x S2; ours is to S2, as delta2 is.
    assert found.second.gamma2 / float(row["quantity2"]) == pytest.approx(float(row["gamma2"]), abs=1e-3)


@published("spread_kirk")
def test_spread(row: Row) -> None:
    cells: dict[str, Cell] = {"style": "spread", "right": "call", "forward": 122.0, "forward2": 120.0, "strike": 3.0}
    cells.update({name: row[name] for name in ("years", "vol", "vol2", "correlation")})
    cells |= {"rate": 0.1, "carry": 0.0}
    assert priced(**cells) == pytest.approx(float(row["kirk"]), abs=1e-4)
    assert priced(**cells, method="quadrature") == pytest.approx(float(row["exact"]), abs=2e-6)


@published("min_max_stulz")
def test_min_max(row: Row) -> None:
    names = ("right", "strike", "spot", "spot2", "rate", "years", "vol", "vol2", "correlation")
    cells: dict[str, Cell] = {name: row[name] for name in names}
    extremum = row["basket"].removesuffix("Basket").lower()
    found = priced(style="min_max", extremum=extremum, carry=carry_of(row), carry2=carry_of(row, "2"), **cells)
    assert found == pytest.approx(float(row["price"]), abs=1.2e-3)


@published("two_asset_barrier")
def test_two_asset_barrier(row: Row) -> None:
    """The book rounds its bivariate normal: our value is held to an exact factorisation in `test_exotics_pairs`."""
    names = ("right", "strike", "barrier", "correlation")
    cells: dict[str, Cell] = {name: row[name] for name in names}
    cells |= {"barrier_kind": KINDS[row["kind"]], "years": 0.5}
    market = {"spot": 100.0, "spot2": 100.0, "vol": 0.2, "vol2": 0.2, "rate": 0.08, "carry": 0.08, "carry2": 0.08}
    assert priced(style="two_asset_barrier", **cells, **market) == pytest.approx(float(row["price"]), abs=4e-3)


def test_two_asset_correlation() -> None:
    cells: dict[str, Cell] = {"right": "call", "strike": 50.0, "strike2": 70.0, "correlation": 0.75, "years": 0.5}
    market = {"spot": 52.0, "spot2": 65.0, "vol": 0.2, "vol2": 0.3, "rate": 0.1, "carry": 0.1, "carry2": 0.1}
    assert priced(style="two_asset_correlation", **cells, **market) == pytest.approx(4.7073, abs=1e-4)


@published("lookbacks")
def test_lookback(row: Row) -> None:
    cells: dict[str, Cell] = {name: row[name] for name in ("right", "spot", "rate", "years", "vol")}
    found = priced(style="lookback", extreme_so_far=row["extreme"], carry=carry_of(row), **cells)
    assert found == pytest.approx(float(row["price"]), abs=1e-4)


@published("merton_jumps")
def test_merton_jumps(row: Row) -> None:
    """Jumps of mean zero carry `jump_share` of the total variance; the diffusion has the rest."""
    variance, share, intensity = float(row["total_vol"]) ** 2, float(row["jump_share"]), float(row["intensity"])
    jump_variance = share * variance / intensity
    option = Vanilla(1, float(row["strike"]), 100.0, float(row["years"]), 0.08, 0.08)
    jumps = Jumps(intensity, -0.5 * jump_variance, math.sqrt(jump_variance))
    assert merton(option, math.sqrt(variance * (1.0 - share)), jumps) == pytest.approx(float(row["price"]), abs=5e-3)


@pytest.mark.parametrize(
    ("strike", "put", "call"),
    [
        (80.0, 7.958878113256768, 26.774758743998856),
        (100.0, 17.055270961270111, 16.070154917028834),
        (120.0, 29.811026202682473, 9.024913483457835),
    ],
)
@pytest.mark.parametrize("years", [1.0, 0.25])
def test_heston(strike: float, put: float, call: float, years: float) -> None:
    """Lewis's prices, also with time run four times as fast: the clock that QuantLib sees must not matter."""
    variance = StochasticVariance(0.04 / years, 0.25 / years, 4.0 / years, 1.0 / years, -0.5)
    for sign, expected in ((-1, put), (1, call)):
        option = Vanilla(sign, strike, 100.0, years, 0.01 / years, -0.01 / years)
        assert heston(option, variance) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"funding_kappa": 0.01, "funding_years": 0.25, "funding_spot": "previous"}, 10025.104585),
        ({"funding_kappa": 0.01, "funding_years": 0.25, "funding_spot": "current"}, 9975.103752),
        ({"funding_kappa": 0.2}, 10833.333333),
    ],
)
def test_perpetual(cells: dict[str, Cell], expected: float) -> None:
    market = {"spot": 10000.0, "rate": 0.04, "carry": 0.02, "funding_iota": 0.005}
    assert priced(style="perpetual", settlement="linear", **market, **cells) == pytest.approx(expected, abs=1e-6)
