"""Markets and a policy that the tests of whole runs share, each made once.

What makes them is imported when one is asked for: most tests need no market.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flatbook.domain.events import AnyEvent
    from flatbook.domain.reference import ReferenceData

KEEN = """
name = "keen"
description = "Trades and hedges much, up to the expiry, within wide limits: a short run has every kind of event."

[quoting]
skew = "price_of_risk"
size_coin = 2.0
half_spread_vol = 0.001
half_spread_coin = 0.0001
min_hours = 0.02

[hedging]
rule = "band_and_timer"
band_coin = 0.2
every_s = 20.0

[limits]
gamma_1pct_usd = 20_000_000.0
expiry_gamma_1pct_usd = 20_000_000.0
stress_loss_usd = 20_000_000.0
"""


def pytest_configure(config: pytest.Config) -> None:
    """Where several workers run, kernels are compiled once before: each worker would compile what it needs."""
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        from tests.app.served import compile_kernels

        compile_kernels()


TAPE_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "deribit-option-trades"


@pytest.fixture(scope="session")
def keen_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy file."""
    path = tmp_path_factory.mktemp("policies") / "keen.toml"
    path.write_text(KEEN, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded session from 06:35 to 08:05 UTC, drawn from one seed: an expiry and funding are in it.

    It is one for all tests: those that would change it take a copy.
    """
    from flatbook.domain.units import parse_utc
    from flatbook.sim.drawn import MarketParameters
    from flatbook.sim.market import SimulatedVenue
    from flatbook.sim.takers import TakerParameters
    from flatbook.venues.deribit import load_reference

    reference = load_reference()
    quiet = MarketParameters(
        takers=TakerParameters(arrivals_per_day=5_000.0), index_every_s=20, slice_every_s=120, chain_every_s=600
    )
    start_ns = parse_utc("2026-01-06T06:35")
    market = SimulatedVenue(reference, seed=10, hours=1.5, start_ns=start_ns, parameters=quiet)
    return _record(market.events(), reference, tmp_path_factory.mktemp("drawn"))


def _record(events: Iterable[AnyEvent], reference: ReferenceData, folder: Path) -> Path:
    """A market that nobody of ours is in, written down as a session."""
    import msgspec
    import polars as pl

    from flatbook.domain.events import ChainQuotes, TradePrint
    from flatbook.store.importers.recording import Recording, write
    from flatbook.store.tables import CHAIN, FUNDING, INDEX, QUOTES, TRADES, Table

    rows: dict[str, list[dict[str, Any]]] = {"index": [], "top": [], "trade": [], "chain": [], "funding": []}
    for event in events:
        fields = msgspec.structs.asdict(event)
        kind = str(type(event).__struct_config__.tag)
        if isinstance(event, ChainQuotes):
            rows[kind] += [fields | msgspec.structs.asdict(row) for row in event.rows]
        elif isinstance(event, TradePrint):
            amount = event.size_lots * reference.instrument(event.instrument).lot_size
            # An option worth less than any float has no mark in a recording.
            rows[kind].append(fields | {"amount": amount, "mark_price": event.mark_price or float("nan")})
        elif kind in rows:
            rows[kind].append(fields)

    def frame(table: Table, kind: str) -> pl.DataFrame:
        return pl.DataFrame([[row[name] for name in table.names] for row in rows[kind]], table.schema, orient="row")

    source = folder / "seed"
    source.write_text("10", encoding="utf-8")
    recording = Recording(
        "simulated market",
        index=frame(INDEX, "index"),
        quotes=frame(QUOTES, "top"),
        trades=frame(TRADES, "trade"),
        chain=frame(CHAIN, "chain"),
        funding=frame(FUNDING, "funding"),
        inputs=[source],
    )
    write(recording, folder / "session", "none")
    return folder / "session"


@pytest.fixture(scope="session")
def tape_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded option tape as a session; the test is skipped where the tape is not there."""
    if not TAPE_FOLDER.exists():
        pytest.skip("the recorded option tape is not beside the repository")
    from flatbook.store.importers import import_session
    from flatbook.venues.deribit import load_reference

    out = tmp_path_factory.mktemp("tape") / "session"
    import_session(TAPE_FOLDER, out, load_reference())
    return out
