"""The library of crises against what was recorded, and against what it says of itself."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from flatbook.app.crisis_paths import read_crisis
from flatbook.domain.errors import BadInputError
from flatbook.policies.crises import VolSource, chosen_crises, crises
from flatbook.sim.crises.path import CrisisPath
from tests.conftest import TAPE_FOLDER

DATA = TAPE_FOLDER.parent
ISSUE = ("2020-03-12", "2021-05-19", "2022-11-08", "2024-08-05", "2025-04-02", "2026-02-05")

LOWS = {
    "2020-03-12": (0.456, 0.006),
    "2021-05-19": (0.694, 0.006),
    "2022-11-08": (0.753, 0.006),
    "2024-08-05": (0.809, 0.006),
    "2025-04-02": (0.877, 0.006),
    "2026-02-05": (0.763, 0.006),
}
"""The lowest price over the first: a drawdown that anyone may look up, closes of the steps' bars."""


@cache
def crisis(name: str) -> CrisisPath:
    if not DATA.exists():
        pytest.skip("recorded market data is not beside the repository")
    (found,) = chosen_crises(name)
    return read_crisis(found, DATA)


def test_the_library_is_what_was_asked_for() -> None:
    assert tuple(one.name for one in crises()) == ISSUE
    assert all(one.begins.date().isoformat() <= one.name < one.ends.date().isoformat() for one in crises())
    with pytest.raises(BadInputError, match=r"--crisis 2008: no such crisis; there are 2020-03-12, .*, and all"):
        chosen_crises("2008")


@pytest.mark.parametrize("name", ISSUE)
def test_each_is_as_deep_as_the_day_was(name: str) -> None:
    found = crisis(name)
    moves = found.of("BTC")
    assert float(moves.spot.min()) + 1.0 == pytest.approx(LOWS[name][0], abs=LOWS[name][1])
    first = [
        float(getattr(moves, column)[0, 0]) for column in ("spot", "vol", "days", "term", "skew", "convexity", "basis")
    ]
    assert first == [0.0] * 7
    assert float(moves.vol.max()) > 0.15
    assert found.of("SOL") is found.of("BTC")


def test_daily_closes_of_dvol_are_passed_through() -> None:
    """2022-11-09 closed at 114.80 where 11-06, the last before the crisis, had closed at 56.76."""
    found = crisis("2022-11-08")
    midnight = int(np.argmax(found.of("BTC").days.ravel() >= 3.0))
    assert 1.0 + found.of("BTC").vol[midnight, 0] == pytest.approx(114.80 / 56.76, rel=1e-3)


def test_funding_is_paid_three_times_a_day() -> None:
    found = crisis("2020-03-12")
    assert np.count_nonzero(found.funding) == 9
    assert (found.of("BTC").days.ravel()[found.funding != 0.0] * 3 % 1 == 0.0).all()
    assert found.funding.sum() < 0.0, "shorts paid longs in that fall"


def test_chains_move_smiles_as_they_did() -> None:
    """A month's vol at the money, its slope and the terms, from the chain of 2026-02-05 21:29 against the first."""
    found = crisis("2026-02-05")
    low = found.of("BTC")
    at = int(np.argmax(low.vol))
    moment = np.datetime64(int(found.ts_ns[at]), "ns").astype("datetime64[h]")
    assert str(moment) == "2026-02-05T21"
    assert low.skew[at, 0] < -0.05 < 0.0 < low.convexity[at, 0]
    assert 0.05 < low.term[at, 0] < 0.3
    assert found.of("ETH") is not low
    assert float(found.of("ETH").spot.min()) == pytest.approx(-0.25, abs=0.02)


def test_the_rule_of_2020_is_what_the_deepest_of_the_others_did() -> None:
    """Log rise of a month's vol over the log fall of spot, at the highest vol of each: less steep the deeper."""
    slopes = {}
    for name in ISSUE[1:]:
        moves = crisis(name).of("BTC")
        at = int(np.argmax(moves.vol))
        fall = -math.log1p(float(moves.spot[at, 0]))
        slopes[fall] = math.log1p(float(moves.vol[at, 0])) / fall
    assert slopes[max(slopes)] == pytest.approx(chosen_crises("2020-03-12")[0].vol.per_log_fall, abs=0.01)
    assert min(slope for fall, slope in slopes.items() if fall < max(slopes)) > 1.5
    assert max(slopes.values()) < 2.9


def test_one_source_of_vols_and_no_more() -> None:
    with pytest.raises(ValueError, match="give one of dvol, chains and per_log_fall"):
        VolSource(dvol="a", chains="b")


def test_a_file_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    (first,) = chosen_crises("2020-03-12")
    with pytest.raises(BadInputError, match=r"XBTUSD_1m.*: no such file, and crisis 2020-03-12 is read .* --data"):
        read_crisis(first, tmp_path)
    table = tmp_path / first.index["BTC"].file
    table.parent.mkdir()
    table.write_text("timestamp,close,foreignNotional\n2020-03-13T00:00:00Z,5000,1\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"no price at 2020-03-12T00:00:00\.000Z, which crisis 2020-03-12 needs"):
        read_crisis(first, tmp_path)
    table.write_text("timestamp,open\n2020-03-13T00:00:00Z,5000\n", encoding="utf-8")
    with pytest.raises(BadInputError, match="no column close"):
        read_crisis(first, tmp_path)


def test_smiles_are_seen_where_they_were_recorded() -> None:
    """None where a rule gives each step its own; DVOL's closes at midnight; some four chains a day."""
    assert crisis("2020-03-12").smiles_seen is None
    daily = crisis("2022-11-08").smiles_seen
    assert daily is not None
    assert np.flatnonzero(daily).tolist() == list(range(0, 121, 24))
    chains = crisis("2026-02-05").smiles_seen
    assert chains is not None
    assert chains[0]
    assert 17 <= chains.sum() <= 22
