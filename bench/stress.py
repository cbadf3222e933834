"""Two thousand positions under two hundred scenarios, each option revalued on its smile in each; and a live book.

The C is as hoisted as the kernel. numpy is there twice: as one would write it, a smile and Black's formula for every
pair of position and scenario; and hoisted by expiry as the kernel is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from bench.measure import Bar, Contender, Work, local
from bench.peers.native import Addresses, MissingPeerError, black_avx512
from flatbook.kernels.stress import CELLS, stress_totals
from flatbook.market.shock import Shock, Shocks
from flatbook.valuation.revaluation import Expiries, Options, Scenarios, ScenarioTable
from flatbook.valuation.scenarios import ShockGrid

Floats = NDArray[np.float64]

POSITIONS, EXPIRIES = 2_000, 12
LIVE = 300
C_NAME = "C with AVX-512, hoisted, serial"
NUMPY = "numpy, as one would write it"


@dataclass(frozen=True, eq=False)
class Case:
    """A book, and its markets after each of 208 shocks: 26 of spot by 8 of vol."""

    expiries: Expiries
    options: Options
    held: Floats
    base: Floats
    cells: Floats


def shocks() -> Shocks:
    """A grid of spot and vol, skew going with vol."""
    spots, vols = np.linspace(-0.5, 0.5, 26).tolist(), np.linspace(-0.4, 0.8, 8).tolist()
    return Shocks.of([Shock(spot, vol, skew=-0.02 * vol) for spot in spots for vol in vols][1:])


def case(positions: int) -> Case:
    """Options around twelve forwards."""
    rng = np.random.default_rng(1)
    years = np.linspace(0.02, 1.0, EXPIRIES)
    forward, width = 80_000.0 * np.exp(0.05 * years), 0.6 * np.sqrt(years)
    slices = np.stack([0.45 * width**2, 0.35 * width, np.full(EXPIRIES, -0.2), 0.1 * width, 0.9 * width], axis=1)
    expiries = Expiries(80_000.0, forward, years, slices)
    expiry = rng.integers(0, EXPIRIES, positions)
    strike = forward[expiry] * np.exp(rng.normal(0.0, 1.0, positions) * width[expiry])
    options, _ = Options.by_expiry(expiry, EXPIRIES, strike, rng.choice([-1.0, 1.0], positions))
    table = ScenarioTable(expiries, Scenarios.of(shocks()))
    return Case(expiries, options, rng.normal(0.0, 10.0, positions), table.base, table.cells)


def works() -> list[Work]:
    """The kernel against its peers; the table and a live book by themselves."""
    whole, live = case(POSITIONS), case(LIVE)
    total = np.empty(whole.cells.shape[1])
    options, grid = (
        whole.options,
        Scenarios.of(Shocks.of([Shock(s, v) for s in ShockGrid().spot for v in ShockGrid().vol])),
    )

    def ours() -> Floats:
        stress_totals(options.first, whole.base, options.strike, options.sign, whole.held, whole.cells, total)
        return total

    for other in (as_written(whole), hoisted(whole)):
        np.testing.assert_allclose(other, ours(), rtol=1e-9, atol=1e-2)
    scenarios = Scenarios.of(shocks())
    contenders = [
        local("flatbook, serial", ours),
        _in_c(whole),
        local(NUMPY, lambda: as_written(whole)),
        local("numpy, hoisted", lambda: hoisted(whole)),
        local("the tables of it, from shocks", lambda: ScenarioTable(whole.expiries, scenarios)),
    ]
    small = [
        local(
            "flatbook, tables and all",
            lambda: ScenarioTable(live.expiries, grid).book_gains_usd(live.options, live.held),
        )
    ]
    return [
        Work(
            f"{POSITIONS:,} positions, {total.size} scenarios", contenders, POSITIONS * total.size, "ms",
            [Bar(C_NAME, 1 / 1.5), Bar(NUMPY, 20.0)],
        ),
        Work(f"{LIVE} held options, {grid.count} scenarios", small, LIVE * grid.count, "us"),
    ]  # fmt: skip


def as_written(of: Case) -> Floats:
    """Everything for every pair: what each option's expiry says in each scenario, its smile, Black's formula."""
    at = np.repeat(np.arange(EXPIRIES), np.diff(of.options.first))
    forward, log_move, a, b, slope, scale = of.cells.reshape(EXPIRIES, len(CELLS), -1)[at].transpose(1, 0, 2)
    m, s = of.base[at, 1][:, None] - log_move, of.base[at, 2][:, None]
    strike, sign = of.options.strike[:, None], of.options.sign[:, None]
    k = np.log(strike / forward)
    v = np.sqrt(a + slope * (k - m) + b * np.sqrt((k - m) ** 2 + s**2))
    d1 = -k / v + 0.5 * v
    return np.asarray(of.held @ (sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - v))) * scale))


def hoisted(of: Case) -> Floats:
    """An expiry at a time, and an option's place on its slice once."""
    total = np.zeros(of.cells.shape[1])
    table, first = of.cells.reshape(EXPIRIES, len(CELLS), -1), of.options.first
    for r in range(EXPIRIES):
        forward, log_move, a, b, slope, scale = table[r]
        rows = slice(first[r], first[r + 1])
        strike, sign = of.options.strike[rows, None], of.options.sign[rows, None]
        k = np.log(strike / of.base[r, 0])
        y = k - of.base[r, 1]
        v = np.sqrt(a + slope * y + b * np.hypot(y, of.base[r, 2]))
        d1 = (log_move - k) / v + 0.5 * v
        price = sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - v)))
        total += of.held[rows] @ (price * scale)
    return total


def _in_c(of: Case) -> Contender:
    try:
        library = black_avx512()
    except MissingPeerError as error:
        return Contender(C_NAME, None, f"absent: {error}")
    total = np.empty(of.cells.shape[1])
    options = of.options
    columns = Addresses(of.base, options.strike, options.sign, of.held, of.cells, total).at(0)
    first = int(options.first.ctypes.data)

    def turn() -> None:
        library.stress_totals(first, EXPIRIES, *columns, total.size)

    made = local(C_NAME, turn)
    np.testing.assert_allclose(total, as_written(of), rtol=1e-9, atol=1e-2)
    return made
