"""Other coins of the drawn market: they move with ours as stated, and change nothing else."""

from collections import Counter

import numpy as np
import pytest

from flatbook.domain.errors import ConfigurationError
from flatbook.domain.events import AnyEvent, FundingRate, IndexTick, TopOfBook
from flatbook.domain.units import NS_PER_SECOND, parse_utc
from flatbook.sim import MarketParameters, SimulatedVenue
from flatbook.sim.other_coins import OtherCoinParameters, draw_index
from flatbook.sim.world import WorldParameters, draw_world

from .builders import MIDNIGHT_NS, REFERENCE

ETH = "ETH_USDC-PERPETUAL"
SLOW = MarketParameters(slice_every_s=600, chain_every_s=600)
WORLD = WorldParameters()


def heard(*coins: str, hours: float = 0.05, start_ns: int = MIDNIGHT_NS) -> list[AnyEvent]:
    venue = SimulatedVenue(REFERENCE, seed=1, hours=hours, start_ns=start_ns, parameters=SLOW, other_coins=coins)
    return list(venue.events())


@pytest.mark.parametrize("correlation", [-1.0, 0.0, 0.8])
def test_returns_correlate_as_stated_with_the_vol_stated_and_drift_nowhere(correlation: float) -> None:
    world = draw_world(WORLD, 3, MIDNIGHT_NS, 5 * NS_PER_SECOND, 20 * 17_280)
    law = OtherCoinParameters(correlation=correlation)
    ours, other = (np.diff(np.log(path[::12])) for path in (world.index_usd, draw_index(law, WORLD, world, 3, "ETH")))
    assert np.corrcoef(ours, other)[0, 1] == pytest.approx(correlation, abs=0.015)
    # Which of the coin's own moves were as large as jumps is not said: over days its vol is ours by the ratio.
    assert np.std(other) / np.std(ours) == pytest.approx(1.3, rel=0.05)
    assert draw_index(law, WORLD, world, 3, "ETH").min() > 0.0


def test_everything_else_is_the_same_with_it_and_without() -> None:
    with_it, alone = heard("ETH"), heard()
    rest = [event for event in with_it if not _is_of_it(event)]
    assert list(map(repr, rest)) == list(map(repr, alone))
    seen = Counter(type(event) for event in with_it if _is_of_it(event))
    assert seen == {IndexTick: 181, TopOfBook: 4}


def _is_of_it(event: AnyEvent) -> bool:
    return getattr(event, "underlying", None) == "ETH" or getattr(event, "instrument", None) == ETH


def test_its_perpetual_stands_about_its_index_and_pays_for_its_own_premium() -> None:
    events = heard("ETH", hours=1 / 60, start_ns=parse_utc("2025-03-31T07:59:30"))
    index = {
        event.local_ts_ns: event.price_usd for event in events if _is_of_it(event) and isinstance(event, IndexTick)
    }
    tops = [event for event in events if isinstance(event, TopOfBook) and event.instrument == ETH]
    for top in tops:
        assert abs(top.mid / index[top.local_ts_ns] - 1) < 2e-3
        assert 0.5 * (top.ask - top.bid) / top.mid == pytest.approx(0.6e-4, rel=0.5)
    paid = {event.instrument: event for event in events if isinstance(event, FundingRate)}
    assert {ETH, "BTC-PERPETUAL"} <= set(paid)
    assert paid[ETH].hours == pytest.approx(30 / 3_600)


@pytest.mark.parametrize(
    ("of", "says"), [({"correlation": 1.2}, "use -1 to 1"), ({"vol_ratio": 0.0}, "vol_ratio is 0; use more than 0")]
)
def test_a_law_that_is_none_is_refused(of: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        OtherCoinParameters(**of)  # type: ignore[arg-type]


def test_a_coin_that_is_not_drawn_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"the simulated market draws ETH and not SOL; leave it out"):
        SimulatedVenue(REFERENCE, seed=1, hours=0.05, start_ns=MIDNIGHT_NS, other_coins=("SOL",))
