"""Standing books by hand: listed contracts by name, contracts over the counter by their cells, in known markets."""

from flatbook.market.snapshot import Markets, MarketSnapshot
from flatbook.valuation.contracts import Cell
from flatbook.valuation.exotics.on_surface import OnSurface, Underlyings, on_surface
from flatbook.valuation.otc import OtcTerms, PathState, parse_otc
from flatbook.valuation.point import point_of
from flatbook.valuation.portfolio import BookPosition
from flatbook.venues.deribit import load_reference
from tests.market.snapshots import after, snapshot

REFERENCE = load_reference()
NAN = float("nan")
DAYS = 20.0
"""To the expiry of a contract that does not say."""

EVERY_STYLE: dict[str, dict[str, Cell]] = {
    "american put": {"style": "american", "right": "put", "strike": 85_000},
    "down and out call": {
        "style": "barrier", "right": "call", "strike": 80_000, "barrier": 70_000, "barrier_kind": "down_out",
        "rebate": 100,
    },
    "up and in put": {
        "style": "barrier", "right": "put", "strike": 82_000, "barrier": 90_000, "barrier_kind": "up_in", "rebate": 50,
    },
    "cash call": {"style": "digital", "right": "call", "strike": 85_000, "payoff": "cash", "cash": 1_000},
    "asset put": {"style": "digital", "right": "put", "strike": 85_000, "payoff": "asset"},
    "cash call alive": {
        "style": "digital", "right": "call", "strike": 85_000, "payoff": "cash", "cash": 1_000, "barrier": 70_000,
        "barrier_kind": "down_out",
    },
    "one-touch at the hit": {
        "style": "touch", "payoff": "cash", "cash": 1_000, "pay_at": "hit", "barrier": 90_000, "barrier_kind": "up_in",
    },
    "one-touch at expiry": {
        "style": "touch", "payoff": "asset", "pay_at": "expiry", "barrier": 70_000, "barrier_kind": "down_in",
    },
    "no-touch": {"style": "touch", "payoff": "cash", "cash": 1_000, "barrier": 70_000, "barrier_kind": "down_out"},
    "arithmetic call": {
        "style": "asian", "right": "call", "strike": 80_000, "average": "arithmetic", "fixings": 10,
        "averaging_from": after(5),
    },
    "geometric put": {
        "style": "asian", "right": "put", "strike": 80_000, "average": "geometric", "fixings": 0,
        "averaging_from": after(-5), "average_so_far": 81_000,
    },
    "lookback call": {"style": "lookback", "right": "call", "extreme_so_far": 75_000},
    "exchange": {"style": "exchange", "underlying2": "ETH", "quantity2": 26},
    "spread": {"style": "spread", "right": "call", "strike": 76_000, "underlying2": "ETH", "correlation": 0.7},
    "basket": {"style": "basket", "right": "call", "strike": 86_000, "underlying2": "ETH", "quantity2": 2},
    "worst of": {"style": "min_max", "right": "call", "strike": 2_900, "extremum": "min", "underlying2": "ETH"},
    "outside barrier": {
        "style": "two_asset_barrier", "right": "call", "strike": 80_000, "barrier": 2_500, "barrier_kind": "down_out",
        "rebate": 50, "underlying2": "ETH",
    },
    "correlation call": {
        "style": "two_asset_correlation", "right": "call", "strike": 80_000, "strike2": 3_100, "underlying2": "ETH",
    },
}  # fmt: skip


def markets(btc: MarketSnapshot | None = None, eth: MarketSnapshot | None = None) -> Markets:
    return Markets(
        {"BTC": btc or snapshot(), "ETH": eth or snapshot("ETH", 3_000.0, vol=0.8, carry=0.03)},
        correlations={("BTC", "ETH"): 0.8},
    )


def deal(cells: dict[str, Cell], name: str = "deal-1") -> tuple[OtcTerms, PathState]:
    """A contract over the counter on BTC that settles in BTC and lives `DAYS`, unless its cells say otherwise."""
    return parse_otc(name, {"underlying": "BTC", "expiry": after(DAYS), **cells})


def valued(cells: dict[str, Cell], market: MarketSnapshot, second: MarketSnapshot | None = None) -> OnSurface:
    """The contract on the market's surface."""
    return on_surface(*deal(cells), Underlyings(market, second))


def worth(cells: dict[str, Cell], market: MarketSnapshot) -> float:
    """One contract's value in its quote currency."""
    found = valued(cells, market)
    return found.repricer.at(point_of(found.contract))


def over_the_counter(cells: dict[str, Cell], size: float = 1.0, name: str = "deal-1") -> BookPosition:
    terms, path = deal(cells, name)
    return BookPosition(terms.instrument, size, otc=terms, path=path)


def listed(name: str, size: float = 1.0, price: float = NAN) -> BookPosition:
    return BookPosition(REFERENCE.instrument(name), size, price)
