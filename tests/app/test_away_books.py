"""Options on one venue hedged in the recorded books of another: routed, filled and held there, the same each time."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from flatbook.app.away_books import CAPITAL_SHARE
from flatbook.app.recorded_books import recorded_books
from flatbook.app.request import RunRequest
from flatbook.app.run import Run, carry_out, new_run, resumed_run
from flatbook.domain.errors import BadInputError
from flatbook.domain.events import Fill
from flatbook.domain.intents import TimeInForce
from flatbook.domain.units import parse_utc
from flatbook.engine.effects import Effects
from flatbook.kernels import l2_layout as at
from flatbook.report.tables import PARTS
from flatbook.store.session import open_session
from flatbook.venues.deribit import load_reference

from ..sim.books.drawn import PERPETUAL, SPOT, STEP_NS, drawn_book, write_books
from .conftest import Ended
from .runs import journaled, numbers, recorded, simulated

FROM_NS = parse_utc("2026-01-06T07:30")
STEPS = 800
AWAY = "binance:BTC-PERPETUAL"


@pytest.fixture(scope="module")
def books(morning: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some minutes of another venue's perpetual, along the recorded morning's index."""
    index = pl.read_parquet(morning / "index.parquet")
    times = FROM_NS + STEP_NS * np.arange(STEPS)
    mids = np.interp(times, index["exch_ts_ns"].to_numpy(), index["price_usd"].to_numpy()) * 1.0001
    perpetual = drawn_book(PERPETUAL, "BTC-PERPETUAL", mids, FROM_NS, 11)
    return write_books(tmp_path_factory.mktemp("away") / "books", {"BTC-PERPETUAL": (PERPETUAL, perpetual)})


@pytest.fixture(scope="module")
def hedger(keen_policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keen policy, hedging by the price of risk."""
    text = keen_policy.read_text(encoding="utf-8")
    text = text.replace('rule = "band_and_timer"\nband_coin = 0.2', 'rule = "price_of_risk"')
    path = tmp_path_factory.mktemp("policies") / "hedger.toml"
    path.write_text(text.replace("every_s = 20.0", "every_s = 5.0"), encoding="utf-8")
    return path


def asked_for(morning: Path, books: Path, hedger: Path) -> RunRequest:
    held = "instrument,size\nBTC-30JAN26-84000-C,-60\n"
    return recorded(morning, hedger, hedge_session=str(books), warm_up_hours=1.0, book="book.csv", book_text=held)


class Listened:
    """What a run sends to its venue."""

    def __init__(self, run: Run) -> None:
        self.sent: list[Effects] = []
        self._submit = run.market.venue.submit
        run.market.venue.submit = self.submit  # type: ignore[method-assign]

    def submit(self, effects: Effects) -> None:
        self.sent.append(effects)
        self._submit(effects)


@pytest.fixture(scope="module")
def listened(
    morning: Path, books: Path, hedger: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Ended, Listened]:
    request = asked_for(morning, books, hedger)
    run = new_run(request, tmp_path_factory.mktemp("runs"))
    ears = Listened(run)
    return Ended(request, run, carry_out(run)), ears


@pytest.fixture(scope="module")
def ended(listened: tuple[Ended, Listened]) -> Ended:
    return listened[0]


def test_hedges_are_held_at_their_venue_and_all_sums_to_zero(ended: Ended) -> None:
    state, summary = ended.run.engine.state, ended.finished.summary
    fills = [event for _, event in journaled(ended.path)[0] if isinstance(event, Fill)]
    away = [fill for fill in fills if fill.instrument == AWAY]
    assert len(away) > 3
    assert {fill.venue for fill in away} == {"binance"}
    assert {fill.venue for fill in fills if fill.instrument != AWAY} == {"recorded"}
    held = {(key.venue, key.instrument): position.size_lots for key, position in state.ledger.positions().items()}
    assert held["binance", AWAY] == sum(fill.side * fill.size_lots for fill in away)
    capital = 100 * 10**8
    assert state.ledger.balance("binance", "BTC") <= capital // CAPITAL_SHARE
    state.ledger.invariant()
    assert sum(summary["pnl"][part] for part in PARTS) == pytest.approx(summary["pnl"]["total"], abs=1e-6)
    assert summary["pnl"]["total"] == pytest.approx(state.pnl.equity_usd, abs=1e-4)
    (there,) = [held for held in summary["ledger"]["venues"] if held["venue"] == "binance"]
    assert there["positions"] == {AWAY: 100.0 * held["binance", AWAY]}
    assert there["balances"]["BTC"] == state.ledger.balance("binance", "BTC") / 1e8
    assert AWAY in ended.run.directory.report_html.read_text(encoding="utf-8")
    texts = [line["text"] for line in summary["log"]]
    assert any("10 of 100 BTC lie at binance" in text for text in texts)
    first = int(pl.read_parquet(Path(ended.request.hedge_session or "") / "books.parquet")["local_ts_ns"].max())  # type: ignore[arg-type]
    assert FROM_NS < summary["run"]["from_ns"] < summary["run"]["to_ns"] <= first + 10**9


def test_the_same_orders_given_to_the_replay_itself_fill_alike(listened: tuple[Ended, Listened]) -> None:
    ended, ears = listened
    assert ended.request.hedge_session is not None
    recorded_there = recorded_books(open_session(ended.request.hedge_session), "BTC", load_reference(), is_away=True)
    feed, direct, number_of = recorded_there.feed(ended.request.book_terms), list[Fill](), dict[str, str]()
    for effects in ears.sent:
        for order in effects.orders:
            if order.intent.instrument != AWAY:
                continue
            intent = order.intent
            direct += [event for event in feed.events(effects.ts_ns) if isinstance(event, Fill)]
            assert intent.time_in_force is TimeInForce.IOC
            number = feed.place(intent.side, intent.limit_ticks, intent.size_lots, at.IMMEDIATE_OR_CANCEL)
            number_of[number] = order.order_id
    direct += [event for event in feed.events(recorded_there.to_ns) if isinstance(event, Fill)]
    told = [event for _, event in journaled(ended.path)[0] if isinstance(event, Fill) and event.instrument == AWAY]
    named = [replace(fill, order_id=number_of[fill.order_id]) for fill in direct]
    assert told == named[: len(told)]
    assert len(named) - len(told) <= 1, "at most what was under way when the market ended"


def test_the_same_run_again_and_a_resumed_one_come_to_the_same(ended: Ended, tmp_path: Path) -> None:
    cut = new_run(ended.request, tmp_path / "cut")

    def watch() -> None:
        if cut.engine.state.events == ended.events // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(cut, watch=watch)
    moved = shutil.copytree(ended.request.hedge_session or "", tmp_path / "moved")
    resumed = carry_out(resumed_run(cut.directory.path, hedge_session=str(moved)))
    assert numbers(resumed.summary) == numbers(ended.finished.summary)
    assert journaled(cut.directory.path) == journaled(ended.path)


def test_spans_that_do_not_fit_are_refused_with_what_overlaps(
    morning: Path, books: Path, hedger: Path, tmp_path: Path
) -> None:
    request = asked_for(morning, books, hedger)
    rows = pl.read_parquet(books / "books.parquet")
    year_ns = 365 * 86_400 * 10**9
    later = rows.with_columns(pl.col("exch_ts_ns", "local_ts_ns") + year_ns)
    other = write_books(tmp_path / "later", {"BTC-PERPETUAL": (PERPETUAL, later)})
    with pytest.raises(BadInputError, match=r"is known from 2027-01-06T07:30.*: nothing of both; choose sessions of"):
        new_run(replace(request, hedge_session=str(other)), tmp_path)
    with pytest.raises(
        BadInputError, match=r"it holds 2026-01-06T07:30.* to 2026-01-06T07:3.*; choose --from and --to"
    ):
        new_run(replace(request, from_ns=FROM_NS - 10**9), tmp_path)
    with pytest.raises(BadInputError, match=r"the simulation is of 2026-01-05.*: nothing of both"):
        new_run(simulated(hedger, hedge_session=str(books)), tmp_path)
    with pytest.raises(BadInputError, match=r"no order book of BTC-PERPETUAL at binance .*; it has none"):
        new_run(replace(request, hedge_session=str(morning)), tmp_path)
    with pytest.raises(BadInputError, match=r"those are order books, hedged in by themselves"):
        new_run(replace(request, session=str(books)), tmp_path)


def test_a_drawn_market_is_hedged_in_books_of_its_time(hedger: Path, tmp_path: Path) -> None:
    start_ns = parse_utc("2026-01-05T00:00")
    spot = drawn_book(SPOT, "BTC_USDT", np.full(STEPS // 2, 85_000.0), start_ns, 3)
    flat = drawn_book(PERPETUAL, "BTC-PERPETUAL", np.full(STEPS // 2, 85_000.0), start_ns, 2)
    both = write_books(tmp_path / "books", {"BTC-PERPETUAL": (PERPETUAL, flat), "BTC_USDT": (SPOT, spot)})
    run = new_run(simulated(hedger, hedge_session=str(both), hours=0.1), tmp_path / "runs")
    finished = carry_out(run)
    assert finished.summary["ledger"]["balanced"]
    assert run.engine.state.now_ns <= start_ns + STEPS // 2 * STEP_NS + 10**9
    assert run.engine.state.values.away_usd > 0.0
