"""The report of a run: every key of the contract, and money that agrees with an account kept beside the ledger."""

from fractions import Fraction
from pathlib import Path

import polars as pl
import pytest

from flatbook.app.run import carry_out, new_run
from flatbook.domain.events import Fill
from flatbook.domain.units import NS_PER_MINUTE
from flatbook.report.tables import PARTS
from flatbook.store.importers.recording import Recording, write
from flatbook.store.tables import INDEX
from flatbook.venues.deribit import load_reference

from .conftest import Ended
from .runs import journaled, recorded

CONTRACT = {
    "run": "id version policy seed session from_ns to_ns events trades_seen wall_s events_per_s state_sha256",
    "pnl": "total spread adverse_selection delta gamma theta vega vanna volga funding basis fees hedge_cost settlement "
    "unexplained",
    "risk": "pnl_std_per_hour max_drawdown delta_rms gamma_1pct_rms vega_rms stress_loss_max limit_breaches",
    "flow": "fills volume_usd fill_share markout_1m markout_10m markout_1h",
    "quotes": "uptime two_sided_share median_half_spread_vol_pt messages_per_event",
    "hedges": "count volume_usd cost_usd",
    "ledger": "balanced balances positions_open",
}
PERPETUAL = "BTC-PERPETUAL"
CENT_USD = 0.01


def test_every_key_of_the_contract_is_there(unbroken: Ended) -> None:
    summary = unbroken.finished.summary
    for section, keys in CONTRACT.items():
        assert set(keys.split()) <= set(summary[section]), section
    assert set(summary["pnl_coin"]) == {"BTC"}


def test_the_parts_sum_to_the_total(unbroken: Ended) -> None:
    pnl = unbroken.finished.summary["pnl"]
    assert sum(pnl[part] for part in PARTS) == pytest.approx(pnl["total"], abs=CENT_USD / 100)
    assert sum(abs(pnl[part]) for part in PARTS) > 100


def test_days_strategies_and_expiries_sum_to_the_total_in_usd_and_in_coin(unbroken: Ended) -> None:
    summary, pnl = unbroken.finished.summary, unbroken.finished.frames["pnl"]
    coin = summary["pnl_coin_parts"]["BTC"]
    assert coin["total"] == pytest.approx(summary["pnl_coin"]["BTC"], abs=1e-8)
    assert sum(coin[part] for part in PARTS) == pytest.approx(coin["total"], abs=1e-8)
    for key, rows in summary["pnl_by"].items():
        for part in ("total", *PARTS):
            assert sum(row["usd"][part] for row in rows) == pytest.approx(summary["pnl"][part], abs=CENT_USD / 100)
            assert sum(row["coin"][part] for row in rows) == pytest.approx(coin[part], abs=1e-8)
        assert {row[key] for row in rows} == set(pnl[key])
    hedging = pnl.filter(pl.col("strategy") == "hedging", pl.col("part") == "hedge_cost")
    assert hedging["usd"].sum() == pytest.approx(summary["pnl"]["hedge_cost"], abs=CENT_USD / 100)
    assert set(hedging["expiry"]) == {"none"}


def test_the_total_is_what_the_fills_come_to_without_the_ledger(in_world: Ended) -> None:
    """No delivery, funding or settlement falls into these minutes: fills and fees are all there is."""
    state, reference = in_world.run.engine.state, load_reference()
    index_usd = state.values.index_usd
    coin, lots = Fraction(0), dict[str, int]()
    for _, event in journaled(in_world.path)[0]:
        if isinstance(event, Fill):
            instrument = reference.instrument(event.instrument)
            size = event.side * event.size_lots * Fraction(str(instrument.lot_size))
            price = event.price_ticks * Fraction(str(instrument.tick_size))
            coin -= Fraction(event.fee_units, 10**8)
            if event.instrument == PERPETUAL:
                coin += size / price - size / Fraction(state.perp_price_usd)
            else:
                coin -= size * price
                lots[event.instrument] = lots.get(event.instrument, 0) + event.side * event.size_lots
    for name, held in lots.items():
        fair = state.values.fair_coin[state.market.universe.row_of[name]]
        coin += held * Fraction(str(reference.instrument(name).lot_size)) * Fraction(float(fair))
    summary = in_world.finished.summary
    assert summary["pnl"]["total"] == pytest.approx(float(coin) * index_usd, abs=CENT_USD)
    # Each fill is booked to the satoshi.
    assert summary["pnl_coin"]["BTC"] == pytest.approx(float(coin), abs=1e-8 * in_world.run.journal.next_seq)
    assert summary["ledger"]["positions_open"] == sum(held != 0 for held in lots.values()) + 1


def test_balances_are_the_deposit_and_what_was_paid_since(in_world: Ended) -> None:
    reference = load_reference()
    paid = Fraction(0)
    for _, event in journaled(in_world.path)[0]:
        if isinstance(event, Fill):
            paid += Fraction(event.fee_units, 10**8)
            if event.instrument != PERPETUAL:
                instrument = reference.instrument(event.instrument)
                size = event.size_lots * Fraction(str(instrument.lot_size))
                paid += event.side * size * event.price_ticks * Fraction(str(instrument.tick_size))
    realised = in_world.finished.summary["ledger"]["balances"]["BTC"] - float(100 - paid)
    # What hedges that were closed again gained or lost; at these prices no more than basis points of their volume.
    volume_coin = in_world.finished.summary["hedges"]["volume_usd"] / in_world.run.engine.state.values.index_usd
    assert abs(realised) < 0.002 * volume_coin


def test_options_that_expire_are_settled_and_held_no_more(on_tape: Ended) -> None:
    held = {name for name in on_tape.run.engine.state.ledger.open_lots() if name != PERPETUAL}
    traded = set(on_tape.finished.frames["fills"]["instrument"])
    expired = {name for name in traded if name.startswith("BTC-6JAN26-")}
    assert expired
    assert held
    assert held <= traded - expired
    summary = on_tape.finished.summary
    assert summary["ledger"]["balanced"] is True
    assert summary["pnl"]["settlement"] != 0
    assert summary["pnl"]["funding"] != 0, "the perpetual was held at eight"


def test_fill_models_stand_side_by_side_in_their_order(unbroken: Ended) -> None:
    flow = unbroken.finished.summary["flow"]
    lots = {model["name"]: model["lots"] for model in flow["fill_models"]}
    assert 0 <= lots["pessimistic"] <= lots["queue"] < lots["optimistic"]
    fills = {model["name"]: model["fills"] for model in flow["fill_models"]}
    assert fills["queue"] == flow["fills"], "the model that was asked for is the one that filled"


def test_report_numbers_are_those_of_the_series(unbroken: Ended) -> None:
    summary, frames = unbroken.finished.summary, unbroken.finished.frames
    assert summary["flow"]["fills"] == frames["fills"].height
    assert summary["hedges"]["count"] == frames["hedges"].height
    assert summary["pnl"]["total"] == frames["equity"]["equity_usd"][-1]
    assert frames["equity"]["ts_ns"][-1] == summary["run"]["to_ns"]
    spacing = frames["equity"]["ts_ns"].diff().drop_nulls()
    # The last row is taken at the end, whenever that is.
    assert (spacing[:-1] >= NS_PER_MINUTE).all()


def test_a_market_without_options_is_run_through_and_nothing_applies(keen_policy: Path, tmp_path: Path) -> None:
    moments = [1_767_600_000_000_000_000 + step * 10**9 for step in range(300)]
    index = pl.DataFrame(
        {"exch_ts_ns": moments, "local_ts_ns": moments, "underlying": "BTC", "price_usd": 90_000.0}, INDEX.schema
    )
    source = tmp_path / "source"
    source.write_text("")
    write(Recording("made by hand", index=index, inputs=[source]), tmp_path / "session", "none")
    summary = carry_out(new_run(recorded(tmp_path / "session", keen_policy), tmp_path / "runs")).summary
    assert (summary["run"]["events"], summary["run"]["trades_seen"], summary["flow"]["fills"]) == (300, 0, 0)
    assert summary["pnl"]["total"] is None
    assert summary["quotes"]["uptime"] is None
    deposit = {"BTC": 100.0}
    there = {"venue": "recorded", "balances": deposit, "positions": {}}
    assert summary["ledger"] == {"balanced": True, "balances": deposit, "positions_open": 0, "venues": [there]}
