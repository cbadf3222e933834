import numpy as np
import polars as pl
import pytest

from flatbook.report.facts import HedgingFacts
from flatbook.report.hedge_summary import by_kind, internalised_share, slippage_rows, summarise_hedges
from flatbook.report.tables import EquityRow, HedgeRow, Tables, conform

from .test_gamma_rent import exposure

SECOND = 10**9


def hedge(number: int, size_usd: float, expected: float, cost: float, kind: str = "perpetual") -> HedgeRow:
    return HedgeRow(
        number * SECOND, f"H{number}", "BTC-PERPETUAL", 1, size_usd, 8e4, 8e4, cost, 5e-4 * size_usd, 0.0, 0.0, "why",
        kind=kind, expected_usd=expected, vega_added_usd=float(kind == "option"), waited_s=0.5, waited_usd=2.0,
        delta_drift_coin=3.0 - 7.0 * (number % 2),
    )  # fmt: skip


def frames(*rows: HedgeRow) -> dict[str, pl.DataFrame]:
    tables = Tables()
    for second in (0, 100):
        tables.equity.append(EquityRow.of(second * SECOND, 8e4, {}, "normal"))
        tables.exposures.append(exposure(second * SECOND, 0.0, 0.0))
    for row in rows:
        tables.hedges.append(row)
    return tables.frames()


def facts(flow_usd: float = 400.0, hedged_usd: float = 100.0) -> HedgingFacts:
    return HedgingFacts(
        loop_gain_most=-0.2, slowed_decisions=3, impact_y=0.9, flow_delta_usd=flow_usd, hedge_delta_usd=hedged_usd
    )


def test_estimates_are_held_to_what_was_paid_size_by_size() -> None:
    """Small hedges paid a basis point as they should have, large ones three for two; what expected nothing is apart."""
    small = [hedge(n, 1e4, 1.0, 1.0) for n in range(3)]
    large = [hedge(3 + n, 1e6, 200.0, cost) for n, cost in enumerate((290.0, 300.0, 310.0))]
    first, last = slippage_rows(frames(*large, hedge(9, 1e4, np.nan, 70.0), *small)["hedges"])[::2]
    assert (first.least_usd, first.hedges, first.expected_rate, first.realised_rate) == (1e4, 2, 1e-4, 1e-4)
    assert (last.most_usd, last.hedges, last.expected_rate) == (1e6, 2, 2e-4)
    middle = slippage_rows(frames(*large)["hedges"])
    assert [row.realised_rate for row in middle] == pytest.approx([2.9e-4, 3.0e-4, 3.1e-4])
    (alone,) = slippage_rows(frames(large[0])["hedges"])
    assert alone.error == 0.0
    pairs = slippage_rows(frames(*(hedge(n, 1e6, 200.0, 290.0 + 20.0 * (n % 2)) for n in range(6)))["hedges"])
    assert pairs[0].error == pytest.approx(np.hypot(10.0, 10.0) / 2e6), "of two that paid 10 USD less and more than 300"


def test_the_summary_adds_up_and_says_nothing_of_what_is_not_known() -> None:
    rows = [hedge(1, 1e5, 10.0, 12.0), hedge(2, 2e5, np.nan, 3.0), hedge(3, 8e4, 40.0, 44.0, "option")]
    said = summarise_hedges(frames(*rows), facts())
    assert (said["count"], said["volume_usd"], said["cost_usd"]) == (3, 3.8e5, 59.0)
    assert (said["expected_usd"], said["realised_usd"], said["waited_usd"]) == (50.0, 56.0, 6.0)
    assert said["delta_drift_coin_rms"] == pytest.approx(((16 + 9 + 16) / 3) ** 0.5)
    assert said["by_kind"]["option"]["count"] == 1
    assert sum(kind["cost_usd"] for kind in said["by_kind"].values()) == said["cost_usd"]
    assert (said["loop_gain_most"], said["slowed_decisions"], said["internalised_share"]) == (-0.2, 3, 0.75)
    assert said["gamma_drift_1pct_usd_rms"] is None
    assert [day["role"] for day in said["carry"]] == ["long, earns funding"]
    nothing = summarise_hedges(frames(), None)
    assert {nothing[name] for name in ("expected_usd", "waited_usd", "internalised_share", "loop_gain_most")} == {None}


def test_flow_internalises_what_no_hedge_trades() -> None:
    assert internalised_share(facts(400.0, 0.0)) == 1.0
    assert internalised_share(facts(400.0, 600.0)) == -0.5
    assert internalised_share(facts(0.0, 600.0)) is None
    assert internalised_share(None) is None


def test_runs_recorded_before_a_column_was_are_read_with_its_default() -> None:
    written = frames(hedge(1, 1e5, 10.0, 12.0))
    older = written | {"hedges": written["hedges"].drop("kind", "expected_usd", "loop_gain")}
    (row,) = by_kind(conform(older)["hedges"])
    assert (row["kind"], row["volume_usd"]) == ("perpetual", 1e5)
    assert summarise_hedges(conform(older), None)["expected_usd"] is None
