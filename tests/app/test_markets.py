"""Which market a request names, and from when to when."""

from pathlib import Path

import polars as pl
import pytest

from flatbook.app.markets import SIMULATION_START_NS, open_market
from flatbook.app.run import carry_out, new_run
from flatbook.domain.errors import BadInputError
from flatbook.domain.events import TradePrint
from flatbook.domain.units import NS_PER_HOUR, NS_PER_MINUTE, parse_until, parse_utc
from flatbook.store.session import open_session
from flatbook.venues.deribit import load_reference

from .runs import recorded, simulated

BEGIN, EIGHT = parse_utc("2026-01-06T06:35"), parse_utc("2026-01-06T08:00")


def prints(session: Path, from_ns: int, to_ns: int) -> int:
    clock = pl.read_parquet(session / "trades.parquet")["local_ts_ns"]
    return int(clock.is_between(from_ns, to_ns, closed="left").sum())


def test_the_whole_session_unless_told_otherwise(morning: Path, keen_policy: Path) -> None:
    session = open_session(morning)
    market = open_market(recorded(morning, keen_policy), load_reference())
    assert market.from_ns == session.from_ns
    assert market.to_ns > int(pl.read_parquet(morning / "index.parquet")["local_ts_ns"][-1])
    assert market.session_digest == session.digest
    heard = [event for event in market.venue.events() if isinstance(event, TradePrint)]
    assert len(heard) == pl.read_parquet(morning / "trades.parquet").height


def test_a_run_trades_from_its_start_and_has_watched_before(morning: Path, keen_policy: Path, tmp_path: Path) -> None:
    from_ns, to_ns = BEGIN + 25 * NS_PER_MINUTE, parse_until("2026-01-06T07:59")
    assert to_ns == EIGHT, "a time written to the minute includes that minute"
    request = recorded(morning, keen_policy, from_ns=from_ns, to_ns=to_ns, warm_up_hours=1.0)
    run = new_run(request, tmp_path)
    finished = carry_out(run)
    assert finished.summary["run"]["trades_seen"] == prints(morning, from_ns, to_ns) > 0
    assert finished.summary["run"]["from_ns"] == from_ns
    assert EIGHT - 30 * 10**9 < finished.summary["run"]["to_ns"] < EIGHT
    fills = finished.frames["fills"]["ts_ns"]
    assert len(fills) > 5
    assert fills.is_between(from_ns, to_ns, closed="left").all()
    assert run.engine.state.events > finished.summary["run"]["trades_seen"] + prints(morning, BEGIN, from_ns)


def test_without_a_warm_up_nothing_before_is_heard(morning: Path, keen_policy: Path) -> None:
    market = open_market(recorded(morning, keen_policy, from_ns=EIGHT), load_reference())
    assert min(event.local_ts_ns for event in market.venue.events()) >= EIGHT


@pytest.mark.parametrize(
    "asked",
    [{"from_ns": BEGIN + 2 * NS_PER_HOUR}, {"to_ns": BEGIN}, {"from_ns": 0, "to_ns": 1}],
    ids=["after", "before", "1970"],
)
def test_a_span_the_session_holds_nothing_of(morning: Path, keen_policy: Path, asked: dict[str, int]) -> None:
    says = r"session: holds 2026-01-06T06:35:00\.\d+Z to 2026-01-06T08:05:00\.\d+Z, nothing of what --from and --to ask"
    with pytest.raises(BadInputError, match=says):
        open_market(recorded(morning, keen_policy, **asked), load_reference())


def test_a_simulated_market_begins_alike_whenever_it_is_run(keen_policy: Path) -> None:
    market = open_market(simulated(keen_policy, hours=2.0), load_reference())
    assert (market.from_ns, market.to_ns) == (SIMULATION_START_NS, SIMULATION_START_NS + 2 * NS_PER_HOUR)
    assert market.session_digest is None
