"""A quote explained from the journal is the quote that the run had then."""

from pathlib import Path

import polars as pl
import pytest

from flatbook.app.explain import explain_document
from flatbook.app.rebuild import rebuilt_until
from flatbook.app.run import new_run
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import format_utc

from .conftest import Ended
from .runs import simulated


def test_at_a_sampled_moment_it_is_what_the_run_wrote_down(unbroken: Ended) -> None:
    quotes = unbroken.finished.frames["quotes"].filter(pl.col("bid").is_not_nan(), pl.col("ask").is_not_nan())
    # The first samples: a replay up to them is short.
    sampled = quotes.row(min(6, quotes.height - 1), named=True)
    found = explain_document(unbroken.path, sampled["instrument"], sampled["ts_ns"])
    assert found["fair_coin"] == pytest.approx(sampled["fair"], rel=1e-12)
    for side in ("bid", "ask"):
        assert found[side]["resting_coin"] == pytest.approx(sampled[side], abs=1e-12)
        parts = sum(part["coin"] for part in found[side]["parts"])
        assert parts == pytest.approx(found[side]["wanted_coin"], abs=1e-12)
    assert found["at"] == format_utc(sampled["ts_ns"])


def test_a_moment_is_after_the_last_event_by_then(in_world: Ended) -> None:
    state = in_world.run.engine.state
    half_ns = in_world.run.market.from_ns + (state.now_ns - in_world.run.market.from_ns) // 2
    moment = rebuilt_until(in_world.path, half_ns)
    assert moment.state.now_ns <= half_ns < state.now_ns
    assert rebuilt_until(in_world.path, moment.state.now_ns).state.sha256() == moment.state.sha256()
    assert rebuilt_until(in_world.path, None).state.sha256() == in_world.sha256


@pytest.mark.parametrize("shift_ns", [-1, 10**15])
def test_a_moment_outside_the_run_is_refused(in_world: Ended, shift_ns: int) -> None:
    with pytest.raises(BadInputError, match="ask for a time in it"):
        explain_document(in_world.path, "BTC-PERPETUAL", in_world.run.market.from_ns + shift_ns)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("BTC-PERPETUAL", "quotes coin-settled options on BTC alone"),
        ("ETH-30JAN26-3000-C", "quotes coin-settled options on BTC alone"),
        ("BTC-25DEC26-65000-P", "had not seen it by 2026-01-05T00:0"),
    ],
)
def test_what_the_run_does_not_quote_is_refused(in_world: Ended, name: str, complaint: str) -> None:
    with pytest.raises(BadInputError, match=complaint):
        explain_document(in_world.path, name, in_world.run.market.from_ns + 60 * 10**9)


def test_a_run_that_has_journaled_nothing_has_no_quote(keen_policy: Path, tmp_path: Path) -> None:
    run = new_run(simulated(keen_policy), tmp_path)
    with pytest.raises(BadInputError, match="nothing is journaled yet"):
        explain_document(run.directory.path, "BTC-PERPETUAL", None)
    run.journal.close()
