"""The reference formulas of order flow against published and independently computed figures."""

from collections.abc import Callable

import numpy as np
import pytest

from flatbook.market.flow.hawkes import Hawkes
from flatbook.market.flow.imbalance import BestQuotes, best_quote_flow
from flatbook.market.flow.informed import (
    InformedFlow,
    informed_quotes,
    kyle_auctions,
    propagator,
    square_root_impact,
)
from flatbook.market.flow.vpin import bulk_buy_share, vpin
from tests.market_analytics.published import golden

ROWS = golden("order_flow")

QUOTES = [
    BestQuotes(*quotes)
    for quotes in ((100, 10, 101, 12), (100, 15, 101, 12), (100, 15, 101, 7), (101, 3, 102, 9), (101, 3, 102, 4),
                   (100, 20, 101, 6))
]  # fmt: skip

ARRIVALS, END = np.array([0.5, 0.6, 1.5, 3.0, 3.1, 3.15]), 4.0


def kyle(column: int) -> Callable[..., float]:
    return lambda variance, noise, auctions, at: float(kyle_auctions(variance, noise, int(auctions))[column][int(at)])


def pin_log_likelihood(*arguments: float) -> float:
    *flow, buys, sells = arguments
    return InformedFlow(*flow).log_likelihood(np.array([buys]), np.array([sells]))


QUANTITIES: dict[str, Callable[..., float]] = {
    "best_quote_flow": lambda at: best_quote_flow(QUOTES[int(at)], QUOTES[int(at) + 1]),
    "kyle_impact": kyle(0),
    "kyle_intensity": kyle(1),
    "kyle_variance": kyle(2),
    "informed_bid": lambda *arguments: informed_quotes(*arguments)[0],
    "informed_ask": lambda *arguments: informed_quotes(*arguments)[1],
    "pin": lambda *arguments: InformedFlow(*arguments).pin,
    "pin_log_likelihood": pin_log_likelihood,
    "bulk_buy_volume": lambda move: 100 * bulk_buy_share(move, 1.0),
    "vpin": lambda *moves: vpin(np.array([100 * bulk_buy_share(move, 1.0) for move in moves]), 100.0),
    "hawkes_log_likelihood": lambda *arguments: Hawkes(*arguments).log_likelihood(ARRIVALS, END),
    "hawkes_mean_rate": lambda *arguments: Hawkes(*arguments).mean_rate,
    "hawkes_fano": lambda *arguments: Hawkes(*arguments).fano,
    "square_root_impact_bp": lambda *arguments: 1e4 * square_root_impact(*arguments),
    "propagator": lambda lag, decay, cutoff: float(propagator(np.array([lag]), decay, cutoff)[0]),
}


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_published(row: dict[str, str]) -> None:
    found = QUANTITIES[row["quantity"]](*(float(argument) for argument in row["arguments"].split()))
    published = row["value"]
    digits = len(published.partition(".")[2])
    assert found == pytest.approx(float(published), abs=0.51 * 10.0**-digits if digits else 1e-12)


def test_every_published_quantity_is_asked_for() -> None:
    assert {row["quantity"] for row in ROWS} == set(QUANTITIES)
