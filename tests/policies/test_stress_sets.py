from pathlib import Path

import pytest

from flatbook.domain.errors import ConfigurationError
from flatbook.market.shock import Shock
from flatbook.policies.stress import read_scenarios, shipped_sets
from flatbook.valuation.stress import WINNING, Unhedged, stress
from tests.valuation.books import markets
from tests.valuation.test_portfolio import BOOK


@pytest.mark.parametrize("name", shipped_sets())
def test_a_shipped_set_is_dated_and_every_one_of_it_moves_a_book_of_everything(name: str) -> None:
    found = read_scenarios(name)
    assert found.as_of.year >= 2026
    for one in stress(BOOK, markets(), found.scenarios):
        assert abs(one.pnl_usd) > 1.0, one.scenario.name
    assert {scenario.lost_venue for scenario in found.scenarios} == {"", WINNING}


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'as_of = 2026-02-01\n[[scenario]]\nname = "both"\nshock = { spot = -0.1 }\nown = { ETH = { spot = 0.1 } }\n'
        "unhedged = { hours = 2.0, deviations = -1.0 }\n"
    )
    (both,) = read_scenarios(str(path)).scenarios
    assert (both.shock, both.own) == (Shock(spot=-0.1), {"ETH": Shock(spot=0.1)})
    assert both.unhedged == Unhedged(2.0, -1.0)


def test_the_example_in_the_documentation_reads(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "books.md").read_text("utf-8")
    path = tmp_path / "shown.toml"
    path.write_text(text.split("```toml\n")[1].split("```")[0])
    (shown,) = read_scenarios(str(path)).scenarios
    (found,) = stress(BOOK, markets(), [shown])
    assert found.pnl_usd < 0.0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("as_of = ", "not TOML"),
        ("as_of = 2026-01-01", "scenario: Field required"),
        ('as_of = 2026-01-01\n[[scenario]]\nname = "a"\nshock = { sport = 1 }', "scenario 'a': shock.sport: Extra"),
        ('as_of = 2026-01-01\n[[scenario]]\nname = "a"\nshock = { spot = -1 }', "spot must stay above 0"),
        ('as_of = 2026-01-01\n[[scenario]]\nname = "a"\ncorrelation = 1.0', "scenario a: a correlation of 1"),
        ('as_of = 2026-01-01\n[[scenario]]\nname = "a"\n[[scenario]]\nname = "a"', "'a' is there twice"),
    ],
)
def test_a_bad_file_names_the_scenario_and_the_field(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"bad\.toml") as raised:
        read_scenarios(str(path))
    assert complaint in str(raised.value)
