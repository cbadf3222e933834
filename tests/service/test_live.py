import json
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.report.smile import svi_vol
from flatbook.report.tables import FillRow, HedgeRow, SmileRow
from flatbook.service.live import (
    FITTED,
    DataAge,
    FillView,
    Freshness,
    HedgeView,
    History,
    HistoryKeeper,
    LiveView,
    SmileView,
)


@pytest.mark.parametrize(
    ("age_s", "badge"),
    [(0.0, "fresh"), (2.0, "fresh"), (2.01, "stale"), (5.0, "stale"), (5.01, "frozen"), (math.nan, "frozen")],
)
def test_freshness_by_age(age_s: float, badge: str) -> None:
    assert Freshness.of(age_s) == badge
    assert DataAge.of("index", age_s).freshness == badge


@pytest.mark.parametrize(("age_s", "badge"), [(60.0, "fresh"), (60.1, "stale"), (300.0, "stale"), (300.1, "frozen")])
def test_what_is_fitted_keeps_longer(age_s: float, badge: str) -> None:
    assert DataAge.of("surface", age_s, FITTED).freshness == badge


def _kept(times: list[int], capacity: int) -> History:
    keeper = HistoryKeeper(capacity)
    for ts_ns in times:
        keeper.add(ts_ns, index_usd=1.0, equity_usd=float(ts_ns), delta_usd=0.0, vega_usd=0.0)
    return keeper.history()


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=300).map(sorted), st.integers(2, 20))
def test_a_history_spans_the_run_in_few_points(times: list[int], capacity: int) -> None:
    history = _kept(times, capacity)
    assert len(history.ts_ns) <= capacity + 1
    assert history.ts_ns[0] == times[0]
    assert history.ts_ns[-1] == times[-1]
    assert history.ts_ns == sorted(history.ts_ns)
    assert history.equity_usd == [float(ts_ns) for ts_ns in history.ts_ns]
    assert len({len(getattr(history, name)) for name in History.__struct_fields__}) == 1


def test_a_long_history_stays_even_and_well_filled() -> None:
    history = _kept(list(range(100_000)), 100)
    gaps = [later - earlier for earlier, later in zip(history.ts_ns[:-2], history.ts_ns[1:-1], strict=True)]
    assert len(history.ts_ns) > 50
    assert max(gaps) <= 2 * min(gaps)


def test_a_history_of_nothing_is_empty() -> None:
    assert _kept([], 5).ts_ns == []
    with pytest.raises(ValueError, match="two points or more, not 1"):
        HistoryKeeper(1)


def test_rows_become_views() -> None:
    unknown = math.nan
    parts, after = (0.021, 0.02, 0.0008, 0.0002), (unknown, unknown, unknown)
    fill = FillRow(1, "T1", "BTC-4APR25-80000-P", -1, 2.0, *parts, 80_000.0, 160.0, 4.0, *after, -90.0)
    hedge = HedgeRow(2, "H1", "BTC-PERPETUAL", 1, 4e4, 80_001.0, 8e4, 0.5, 20.0, -0.6, -0.1, "charge_saved")
    shown = FillView.of(fill)
    assert shown.fair + shown.spread_part + shown.inventory_part == pytest.approx(shown.price)
    assert (shown.side, shown.edge_usd) == (-1, 160.0)
    assert HedgeView.of(hedge).reason == "charge_saved"


def test_a_smile_view_is_the_fit_over_its_points(live_view: LiveView) -> None:
    view = live_view.smiles[0]
    assert view.curve_strike[0] < view.strike[0]
    assert view.curve_strike[-1] > view.strike[-1]
    fit = SmileRow(0, 1, 80_000.0, 0.01, 0.05, -0.4, 0.0, 0.1, 0.1, 0.004, 3.0, "kept_last")
    alone = SmileView.of(fit, [])
    assert (alone.status, alone.age_s, alone.strike) == ("kept_last", 3.0, [])
    middle = alone.curve_vol[len(alone.curve_vol) // 2]
    assert middle == pytest.approx(svi_vol(np.zeros(1), fit)[0], abs=1e-5)


def test_a_view_is_json_with_null_for_the_unknown(live_view: LiveView) -> None:
    text = msgspec.json.encode(live_view)
    data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert data["stage"] == live_view.stage
    assert any(row["call"]["bid"] is None for chain in data["chains"] for row in chain["rows"])
    assert len(text) < 150_000


def test_a_view_before_anything_is_known() -> None:
    data = json.loads(
        msgspec.json.encode(LiveView(run_id="r", policy="advanced", market="m", state="warming up", clock_ns=0))
    )
    assert data["equity_usd"] is None
    assert data["history"]["ts_ns"] == []
