"""A session of order books as a market: hedged in its book, the same each time and after a cut; what is refused."""

import dataclasses
from pathlib import Path

import polars as pl
import pytest
from msgspec.structs import replace

from flatbook.app.recorded_books import recorded_books
from flatbook.app.request import RunRequest
from flatbook.app.run import Run, carry_out, new_run, resumed_run
from flatbook.domain.errors import BadInputError
from flatbook.domain.events import Fill, OrderAccepted
from flatbook.domain.units import parse_utc
from flatbook.sim.books.tape import BookTerms
from flatbook.store.session import open_session
from flatbook.venues.deribit import load_reference

from ..sim.books.drawn import PERPETUAL, SPOT, STEP_NS, drawn_book, walk_usd, write_books
from .conftest import Ended
from .runs import journaled, numbers

START_NS = parse_utc("2024-08-09T00:00")
STEPS = 250
BOOK = """\
instrument,size,price,style,right,strike,expiry,underlying
BTC-30AUG24-60000-C,-40,
BTC-PERPETUAL,100000,
amer-1,3,,american,put,60000,2024-09-13T12:00,BTC
"""


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifty seconds of a perpetual and of spot, the perpetual's first rows some seconds after spot's."""
    mids, later = walk_usd(STEPS, 7), 25
    perpetual = drawn_book(PERPETUAL, "BTC-PERPETUAL", mids[later:] * 1.0002, START_NS + later * STEP_NS, 8)
    spot = drawn_book(SPOT, "BTC_USDT", mids, START_NS, 9)
    return write_books(
        tmp_path_factory.mktemp("books") / "session",
        {"BTC-PERPETUAL": (PERPETUAL, perpetual), "BTC_USDT": (SPOT, spot)},
    )


@pytest.fixture(scope="module")
def hedger(keen_policy: Path) -> str:
    """A policy that hedges by the price of risk, often."""
    text = keen_policy.read_text(encoding="utf-8")
    return text.replace('rule = "band_and_timer"\nband_coin = 0.2', 'rule = "price_of_risk"').replace(
        "every_s = 20.0", "every_s = 5.0"
    )


def hedged_in(session: Path, policy_text: str, **changes: object) -> RunRequest:
    asked = {"session": str(session), "book": "book.csv", "book_text": BOOK, **changes}
    return RunRequest(policy="hedger", policy_text=policy_text, **asked)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def ended(books: Path, hedger: str, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    request = hedged_in(books, hedger)
    run = new_run(request, tmp_path_factory.mktemp("runs"))
    return Ended(request, run, carry_out(run))


def test_the_book_is_hedged_in_the_recorded_book_by_its_own_contract(ended: Ended, books: Path) -> None:
    fills = [event for _, event in journaled(ended.path)[0] if isinstance(event, Fill)]
    accepted = {event.order_id: event for _, event in journaled(ended.path)[0] if isinstance(event, OrderAccepted)}
    assert len(fills) > 3
    assert {fill.venue for fill in fills} == {"binance"}
    rows = pl.read_parquet(books / "books.parquet").filter(pl.col("instrument") == "BTC-PERPETUAL")
    shown = set(rows.select("what", "price_ticks").iter_rows())
    for fill in fills:
        assert (0 if fill.side < 0 else 1, fill.price_ticks) in shown, "no such level was ever recorded"
        coin = fill.size_lots * 100 / (fill.price_ticks * 0.1)
        assert fill.fee_units == pytest.approx(coin * 0.0005 * 1e8, abs=1)
        assert fill.local_ts_ns - fill.exch_ts_ns == BookTerms().response_ns
        assert fill.order_id in accepted
    state = ended.run.engine.state
    assert state.setup.hedge.lot_size == 100.0
    assert state.ledger.net_lots("BTC-PERPETUAL") == 1000 + sum(fill.side * fill.size_lots for fill in fills)
    state.ledger.invariant()
    before, after = (abs(row) for row in ended.finished.frames["exposures"]["delta_coin"].gather([0, -1]))
    assert after < 0.5 * before


def test_nothing_is_quoted_and_that_is_said(ended: Ended) -> None:
    summary = ended.finished.summary
    assert ended.run.engine.state.recorder.messages == 0
    assert any("options: none are quoted" in line["text"] for line in summary["log"])
    assert summary["run"]["from_ns"] == START_NS + 25 * STEP_NS + _delay_ns(ended)


def _delay_ns(ended: Ended) -> int:
    """How long the perpetual's first whole book was under way."""
    rows = pl.read_parquet(Path(ended.request.session or "") / "books.parquet")
    first = rows.filter((pl.col("instrument") == "BTC-PERPETUAL") & (pl.col("what") == 1))
    return int(first["local_ts_ns"][0]) - START_NS - 25 * STEP_NS


def test_the_same_run_again_and_a_resumed_one_come_to_the_same(ended: Ended, tmp_path: Path) -> None:
    again = carry_out(new_run(ended.request, tmp_path / "again"))
    assert again.summary["run"]["state_sha256"] == ended.sha256
    cut = new_run(ended.request, tmp_path / "cut")
    _cut_off(cut, ended.events // 2)
    resumed = carry_out(resumed_run(cut.directory.path))
    assert numbers(resumed.summary) == numbers(ended.finished.summary)
    assert journaled(cut.directory.path) == journaled(ended.path)


def _cut_off(run: Run, events: int) -> None:
    def watch() -> None:
        if run.engine.state.events == events:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(run, watch=watch)


def test_latency_decides_the_outcome(ended: Ended, tmp_path: Path) -> None:
    slow = dataclasses.replace(ended.request.book_terms, entry_ns=500_000_000)
    other = carry_out(new_run(replace(ended.request, book_terms=slow), tmp_path))
    assert other.summary["run"]["state_sha256"] != ended.sha256


def test_what_cannot_be_a_market_is_refused_in_one_line(
    books: Path, hedger: str, morning: Path, tmp_path: Path
) -> None:
    spot = pl.read_parquet(books / "books.parquet").filter(pl.col("instrument") == "BTC_USDT")
    alone = write_books(tmp_path / "spot", {"BTC_USDT": (SPOT, spot)})
    with pytest.raises(
        BadInputError, match=r"no order book of BTC-PERPETUAL at binance .*; it has BTC_USDT \(binance\)"
    ):
        new_run(hedged_in(alone, hedger), tmp_path)
    with pytest.raises(BadInputError, match=r"--vol 0\.5: for a session of order books alone"):
        new_run(hedged_in(morning, hedger, flat_vol=0.5), tmp_path)
    with pytest.raises(BadInputError, match=r"BTC-PERPETUAL is known from .*, not in what is asked for"):
        new_run(hedged_in(books, hedger, to_ns=START_NS + STEP_NS), tmp_path)
    with pytest.raises(BadInputError, match=r"size 150\.0 is not a multiple of the lot 100"):
        new_run(hedged_in(books, hedger, book_text="instrument,size\nBTC-PERPETUAL,150\n"), tmp_path)
    with pytest.raises(BadInputError, match="--order-ms, --answer-ms and --queue-power are of order books"):
        new_run(hedged_in(morning, hedger, book_terms=BookTerms(queue_power=2.0)), tmp_path)
    with pytest.raises(BadInputError, match="--vol 60: a vol is a decimal between"):
        hedged_in(books, hedger, flat_vol=60.0)


def test_without_a_spot_book_the_index_is_the_perpetuals_own(books: Path, hedger: str, tmp_path: Path) -> None:
    rows = pl.read_parquet(books / "books.parquet").filter(pl.col("instrument") == "BTC-PERPETUAL")
    alone = write_books(tmp_path / "perpetual", {"BTC-PERPETUAL": (PERPETUAL, rows)})
    assert recorded_books(open_session(alone), "BTC", load_reference()).index_book == "BTC-PERPETUAL"
    run = new_run(hedged_in(alone, hedger), tmp_path / "runs")
    assert any("no spot was recorded" in note for note in run.market.notes)
    state = run.engine.state
    _cut_off(run, 400)
    assert state.perp_price_usd == pytest.approx(state.values.index_usd, rel=1e-5)
