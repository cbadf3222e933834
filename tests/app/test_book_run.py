"""A run that begins with a book: booked exactly, its exotics valued and ended, replayed to the same bytes."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from flatbook.app.rebuild import rebuilt
from flatbook.app.request import RunRequest
from flatbook.app.run import carry_out, new_run, resumed_run
from flatbook.domain.errors import BadInputError
from flatbook.report.tables import PARTS

from .conftest import Ended
from .runs import journaled, numbers, simulated

BOOK = """\
instrument,size,price,style,right,strike,expiry,underlying,barrier,barrier_kind,rebate,average,fixings,averaging_from
BTC-30JAN26-80000-C,-2,0.08
BTC-PERPETUAL,20000,85000
knock-1,5,,barrier,call,84000,2026-01-09T08:00,BTC,84900,down_out,10
asian-1,10,0.001,asian,call,84000,2026-01-05T00:04,BTC,,,,arithmetic,0,2026-01-05T00:01
amer-1,-3,,american,put,85000,9JAN26,BTC
"""


def begun_with(text: str, policy: Path, **changes: Any) -> RunRequest:
    return simulated(policy, book="book.csv", book_text=text, **changes)


@pytest.fixture(scope="module")
def ended(keen_policy: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Six simulated minutes, in which the knock-out knocks out and the average comes due."""
    request = begun_with(BOOK, keen_policy)
    run = new_run(request, tmp_path_factory.mktemp("runs"))
    return Ended(request, run, carry_out(run))


def test_the_book_is_booked_and_what_ends_is_paid_exactly(ended: Ended) -> None:
    state = ended.run.engine.state
    ledger = state.ledger
    ledger.invariant()
    held = {key.instrument: position for key, position in ledger.positions().items()}
    assert ledger.net_lots("amer-1") == -300
    assert [held[name].size_lots for name in ("knock-1", "asian-1")] == [0, 0]
    assert state.otc is not None
    assert [position.instrument.name for position in state.otc.positions()] == ["amer-1"]
    knocked = next(entry.text for entry in state.recorder.log if entry.text.startswith("knock-1"))
    assert knocked.startswith("knock-1 has ended: 0.00011")  # 10 USD in coin
    paid = held["asian-1"].realised_units + 10 * 100_000
    assert 0.05e8 < paid < 0.15e8  # ten times some nine hundred dollars over the index


def test_the_parts_sum_to_the_ledgers_total(ended: Ended) -> None:
    summary = ended.finished.summary
    assert summary["ledger"]["balanced"]
    assert sum(summary["pnl"][part] for part in PARTS) == pytest.approx(summary["pnl"]["total"], abs=1e-6)
    coin = summary["pnl_coin"]["BTC"]
    index = ended.run.engine.state.values.index_usd
    assert summary["pnl"]["total"] == pytest.approx(coin * index, rel=1e-9)


def test_exposures_and_stress_count_the_exotics(keen_policy: Path, ended: Ended) -> None:
    state = ended.run.engine.state
    assert state.otc is not None
    listed = state.inventory.measure(state.values)
    both = state.otc.add_to(listed)
    assert both.exposure[0] - listed.exposure[0] == pytest.approx(
        3 * 0.5 * state.values.index_usd, rel=0.2
    )  # short three puts at the money
    assert both.vega_usd_per_vol_pt < listed.vega_usd_per_vol_pt


def test_what_was_paid_over_fair_value_at_the_start_is_spread(keen_policy: Path, tmp_path: Path) -> None:
    head = BOOK.splitlines()[0]
    at_worth = carry_out(new_run(begun_with(f"{head}\nBTC-PERPETUAL,20000,\n", keen_policy, hours=0.02), tmp_path))
    dear = carry_out(new_run(begun_with(f"{head}\nBTC-PERPETUAL,20000,86000\n", keen_policy, hours=0.02), tmp_path))
    lost = dear.summary["pnl"]["total"] - at_worth.summary["pnl"]["total"]
    assert lost == pytest.approx(20_000 * (85_000 / 86_000 - 1), rel=0.01)
    assert dear.summary["pnl"]["spread"] - at_worth.summary["pnl"]["spread"] == pytest.approx(lost, rel=0.01)


def test_it_is_replayed_and_resumed_to_the_same_bytes(ended: Ended, tmp_path: Path) -> None:
    assert numbers(rebuilt(ended.path).summary) == numbers(ended.finished.summary)
    path = Path(shutil.copytree(ended.path, tmp_path / "run"))
    finished = carry_out(resumed_run(path))
    assert finished.summary["run"]["state_sha256"] == ended.sha256
    assert journaled(path) == journaled(ended.path)


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ("ETH-PERPETUAL,10", "book.csv:2: ETH-PERPETUAL: a run on BTC holds its coin-settled options, BTC-PERPETUAL"),
        ("BTC_USDC-30JAN26-80000-C,1", "a run on BTC holds its coin-settled options"),
        ("BTC-30JAN26,10", "a run on BTC holds its coin-settled options"),
        ("swap,1,,exchange,,,30JAN26,BTC", "underlying2: missing"),
        ("BTC-2JAN26-80000-C,1", "book.csv:2: BTC-2JAN26-80000-C has expired when the run begins"),
        ("BTC-30JAN26-80000-C,0.05", "book.csv:2: BTC-30JAN26-80000-C: size 0.05 is not a multiple of the lot"),
        ("BTC-30JAN26-80000-C,1,0.05003", "is not a multiple of the tick"),
        ("put,1,,american,put,80000,2026-01-04,BTC", "book.csv:2: put has expired when the run begins"),
    ],
)
def test_what_no_run_holds_is_refused_before_it_begins(
    keen_policy: Path, tmp_path: Path, row: str, answer: str
) -> None:
    text = f"{BOOK.splitlines()[0]}\n{row}\n"
    with pytest.raises(BadInputError) as caught:
        new_run(begun_with(text, keen_policy), tmp_path)
    assert answer in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_path_that_lacks_what_its_contract_needs_ends_the_run(keen_policy: Path, tmp_path: Path) -> None:
    row = "asian,1,,asian,call,84000,9JAN26,BTC,,,,arithmetic,0,2026-01-04T00:00"
    run = new_run(begun_with(f"{BOOK.splitlines()[0]}\n{row}\n", keen_policy, hours=0.02), tmp_path)
    with pytest.raises(BadInputError, match=r"book\.csv:2: asian: average_so_far: missing"):
        carry_out(run)


def test_a_balance_is_not_a_runs(keen_policy: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"book\.csv:2: a balance, and a run has collateral of its own"):
        new_run(begun_with("currency,amount\nBTC,1\n", keen_policy), tmp_path)
