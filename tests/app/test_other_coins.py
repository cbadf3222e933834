"""Runs whose policy hedges with another coin: what they need, and that they come to the same when taken up again."""

import math
from pathlib import Path

import polars as pl
import pytest

from flatbook.app.compose import compose, refuse_other_coins
from flatbook.app.run import carry_out, new_run, resumed_run
from flatbook.domain.errors import BadInputError, ConfigurationError
from flatbook.domain.events import IndexTick, TopOfBook
from flatbook.policies import parse_policy

from .runs import numbers, recorded, simulated

ETH = "ETH_USDC-PERPETUAL"


def with_coins(keen_policy: Path, tmp_path: Path, coins: str) -> Path:
    """The tests' policy that may hedge with other coins too, priced by risk."""
    text = keen_policy.read_text(encoding="utf-8")
    assert "[hedging]" in text
    path = tmp_path / "coins.toml"
    path.write_text(text.replace("[hedging]", f"[hedging]\ncorrelated = {coins}"), encoding="utf-8")
    return path


def test_a_run_says_what_it_knows_of_the_coin_and_is_taken_up_to_the_same_end(
    keen_policy: Path, tmp_path: Path
) -> None:
    policy = with_coins(keen_policy, tmp_path, '["ETH"]')
    run = new_run(simulated(policy), tmp_path)
    finished = carry_out(run)
    (eth,) = finished.summary["other_coins"]
    assert (eth["coin"], eth["instrument"], eth["beta"]) == ("ETH", ETH, 0.0), "six minutes teach nothing"
    assert 2_900 < eth["price_usd"] < 3_100
    assert finished.frames["other_coins"].height == finished.frames["exposures"].height
    again = carry_out(resumed_run(run.directory.path))
    assert numbers(again.summary) == numbers(finished.summary)
    alone = carry_out(new_run(simulated(keen_policy), tmp_path)).summary
    assert alone["other_coins"] is None
    assert alone["pnl"] == finished.summary["pnl"], "a coin that hedges nothing changes nothing"


@pytest.mark.parametrize(
    ("coins", "says"),
    [
        ('["SOL"]', "'SOL'.*SOL_USDC/perpetual.*name another coin"),
        ('["BTC"]', "draws ETH and not BTC; leave it out"),
        ('["eth"]', "'eth'.*name another coin"),
    ],
)
def test_a_coin_that_cannot_hedge_is_refused_in_one_line(
    keen_policy: Path, tmp_path: Path, coins: str, says: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"hedging.correlated: .*{says}") as refused:
        compose(simulated(with_coins(keen_policy, tmp_path, coins)))
    assert "\n" not in str(refused.value)


def test_a_market_that_is_heard_at_a_venue_has_one_coin(keen_policy: Path, tmp_path: Path) -> None:
    policy = parse_policy(with_coins(keen_policy, tmp_path, '["ETH"]').read_text(encoding="utf-8"), "coins")
    with pytest.raises(
        ConfigurationError, match=r"hedging.correlated: ETH hedges where .* shows one coin: leave it out"
    ):
        refuse_other_coins(policy)
    refuse_other_coins(parse_policy(keen_policy.read_text(encoding="utf-8"), "keen"))


def test_a_session_is_asked_for_the_coins_index_and_its_perpetual(
    morning: Path, keen_policy: Path, tmp_path: Path
) -> None:
    request = recorded(morning, with_coins(keen_policy, tmp_path, '["ETH"]'))
    with pytest.raises(BadInputError, match=r"no index of ETH, and the policy hedges with it; import them, or leave"):
        compose(request)
    session = tmp_path / "both"
    session.mkdir()
    for file in morning.iterdir():
        (session / file.name).write_bytes(file.read_bytes())
    index = pl.read_parquet(session / "index.parquet")
    other = index.with_columns(underlying=pl.lit("ETH"), price_usd=pl.col("price_usd") / 30)
    pl.concat([index, other]).sort("local_ts_ns", maintain_order=True).write_parquet(session / "index.parquet")
    request = recorded(session, with_coins(keen_policy, tmp_path, '["ETH"]'))
    with pytest.raises(BadInputError, match=f"no best prices of {ETH}"):
        compose(request)
    tops = other[::60].select(
        "exch_ts_ns", "local_ts_ns", instrument=pl.lit(ETH), bid=pl.col("price_usd") - 0.5,
        ask=pl.col("price_usd") + 0.5, bid_amount=pl.lit(math.nan), ask_amount=pl.lit(math.nan),
        mark_price=pl.col("price_usd"),
    )  # fmt: skip
    quotes = session / "quotes.parquet"
    known = [pl.read_parquet(quotes)] if quotes.exists() else []
    pl.concat([*known, tops]).sort("local_ts_ns", maintain_order=True).write_parquet(quotes)
    market, engine = compose(request)
    heard = list(market.venue.events())
    assert any(isinstance(event, IndexTick) and event.underlying == "ETH" for event in heard)
    assert any(isinstance(event, TopOfBook) and event.instrument == ETH for event in heard)
    for event in heard:
        engine.step(event)
    found = engine.state.comovement
    assert found is not None
    assert found.correlation[0] > 0.6, "it is ours by a factor"
    assert engine.state.values.others_usd[0] == pytest.approx(engine.state.values.index_usd / 30, rel=1e-3)
