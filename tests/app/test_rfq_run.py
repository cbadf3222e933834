"""A run that answers requests: its report, its journal and its explanations agree with one another."""

import math
from pathlib import Path

import polars as pl
import pytest

from flatbook.app import markets
from flatbook.app.explain_rfq import explain_rfq_document, explain_rfq_tables
from flatbook.app.rebuild import rebuilt
from flatbook.app.run import carry_out, new_run
from flatbook.domain.errors import BadInputError
from flatbook.policies import read_policy
from flatbook.report.html import render
from flatbook.sim.drawn import MarketParameters
from flatbook.sim.market import SimulatedVenue
from flatbook.sim.requesters import RequesterParameters

from .runs import numbers, series_bytes, simulated


@pytest.fixture(scope="module")
def dealer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    _, text = read_policy("advanced")
    path = tmp_path_factory.mktemp("policy") / "dealer.toml"
    path.write_text(text + "\n[rfq]\nanswers = true\n", encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def _busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests every few seconds, so that minutes hold some of everything."""
    busy = MarketParameters(requesters=RequesterParameters(requests_per_day=15_000.0, reserve=6.0))

    def drawn(*of: object, **named: object) -> SimulatedVenue:
        return SimulatedVenue(*of, **named, parameters=busy)  # type: ignore[arg-type]

    monkeypatch.setattr(markets, "SimulatedVenue", drawn)


def test_a_run_with_requests_agrees_with_its_journal_and_explains_its_answers(dealer: Path, tmp_path: Path) -> None:
    run = new_run(simulated(dealer, hours=0.08, seed=2), tmp_path)
    finished = carry_out(run)
    rfq, rows = finished.summary["rfq"], finished.frames["rfqs"]
    assert rfq["requests"] == rows.height == sum(rfq["states"].values()) > 20
    assert rfq["won"] > 0
    assert sum(line["requests"] for line in rfq["counterparties"]) == rfq["requests"]
    won = rows.filter(pl.col("state") == "won")
    apart = won["price"] - won["fair"] - won["spread_part"] - won["inventory_part"]
    assert float(apart.abs().max()) < 1e-12  # type: ignore[arg-type]
    assert rfq["edge_usd"] == pytest.approx(math.fsum(won["edge_usd"].to_list()))
    assert abs(finished.summary["pnl"]["unexplained"]) < 0.02 * finished.summary["checks"]["gross_usd"]

    again = rebuilt(run.directory.path)
    assert numbers(again.summary) == numbers(finished.summary)
    assert all(again.frames[name].equals(frame, null_equal=True) for name, frame in finished.frames.items())
    assert "rfqs.parquet" in series_bytes(run.directory.path)
    assert 'id="rfq"' in render(finished.frames, finished.summary)

    one = won.row(0, named=True)
    found = explain_rfq_document(run.directory.path, one["rfq_id"], None)
    side = found["bid" if one["side"] > 0 else "ask"]
    assert side["traded"]
    assert side["spread"] == pytest.approx(sum(side["spread_parts"].values()), abs=1e-15)
    exact = found["fair"] - one["side"] * (side["spread"] + side["inventory"])
    assert exact == pytest.approx(side["before_rounding"], abs=1e-15)
    assert abs(exact - side["price"]) < 1e-4
    assert explain_rfq_tables(found)
    with pytest.raises(BadInputError, match="nobody asked so by"):
        explain_rfq_document(run.directory.path, "R999999", None)


def test_whose_policy_answers_nothing_has_no_requests(dealer: Path, tmp_path: Path) -> None:
    silent = dealer.with_name("silent.toml")
    silent.write_text(dealer.read_text(encoding="utf-8").replace("true", "false"), encoding="utf-8")
    finished = carry_out(new_run(simulated(silent, hours=0.01), tmp_path))
    assert finished.summary["rfq"] is None
    assert finished.frames["rfqs"].is_empty()
    assert 'id="rfq"' not in render(finished.frames, finished.summary)
