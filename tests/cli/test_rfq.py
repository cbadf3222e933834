"""`flatbook rfq` from a request's file to its answer."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from flatbook.cli import rfq
from tests.market.snapshots import snapshot
from tests.store.simulated_chains import write_chain_file

MARKET = snapshot(linear_usd={"BTC-PERPETUAL": 80_010.0})
STRANGLE = "BTC-STRG-30JAN26-70000_90000"
CONDOR = "BTC-ICOND-30JAN26-70000_74000_86000_90000"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chain_file(tmp_path_factory.mktemp("chains") / "chain.csv", MARKET)


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    rfq.register(app)
    return app


def written(folder: Path, request: object) -> str:
    path = folder / "request.json"
    path.write_text(request if isinstance(request, str) else json.dumps(request), encoding="utf-8")
    return str(path)


def run(app: typer.Typer, *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def priced(app: typer.Typer, folder: Path, chain: Path, request: object, *more: str) -> dict[str, Any]:
    result = run(app, written(folder, request), "--chain", str(chain), "--json", *more)
    assert result.exit_code == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_three_parts_add_up_and_the_spread_is_its_parts(app: typer.Typer, tmp_path: Path, chain: Path) -> None:
    book = tmp_path / "book.csv"
    book.write_text("instrument,size\nBTC-30JAN26-80000-C,-3\nBTC-PERPETUAL,100000\n", encoding="utf-8")
    document = priced(app, tmp_path, chain, {"id": "r1", "combo": CONDOR, "size": 25}, "--book", str(book))
    assert (document["id"], document["unit"], document["policy"]) == ("r1", "BTC", "advanced")
    for side, sign in (("bid", 1.0), ("ask", -1.0)):
        quote = document[side]
        assert quote["before_rounding"] == quote["fair"] - sign * (quote["spread"] + quote["inventory"])
        assert math.fsum(quote["spread_parts"].values()) == pytest.approx(quote["spread"], abs=1e-15)
        assert 0.0 <= sign * (quote["before_rounding"] - quote["price"]) < 1e-4
        assert 0.0 < quote["win_probability"] < 1.0
        assert quote["implied_vol"] is None
    assert document["bid"]["price"] < document["fair"] < document["ask"]["price"]
    assert document["expires_at"] == "2026-01-05T08:00:10.000Z"


def test_the_book_moves_the_price_its_way(app: typer.Typer, tmp_path: Path, chain: Path) -> None:
    request = {"combo": STRANGLE, "size": 5}
    book = tmp_path / "book.csv"
    book.write_text("instrument,size\nBTC-30JAN26-80000-C,-10\n", encoding="utf-8")
    flat = priced(app, tmp_path, chain, request)
    short = priced(app, tmp_path, chain, request, "--book", str(book))
    assert flat["fair"] == short["fair"]
    assert short["bid"]["inventory"] < 0.0 < flat["bid"]["inventory"]
    assert short["bid"]["price"] > flat["bid"]["price"]
    assert any("no book is given" in note for note in flat["notes"])


def test_a_strangle_has_one_vol_around_that_of_its_legs(app: typer.Typer, tmp_path: Path, chain: Path) -> None:
    document = priced(app, tmp_path, chain, {"combo": STRANGLE, "size": 5, "competitors": 2})
    years = float(MARKET.years[1])
    vols = [float(MARKET.vol(strike, years)) for strike in (70_000.0, 90_000.0)]
    assert min(vols) - 0.03 < document["bid"]["implied_vol"] < document["ask"]["implied_vol"] < max(vols) + 0.03


def test_a_delta_leg_without_a_size_takes_the_delta_away(app: typer.Typer, tmp_path: Path, chain: Path) -> None:
    call = {"legs": [{"instrument": "BTC-30JAN26-90000-C"}], "size": 20}
    bare = priced(app, tmp_path, chain, call)
    tied = priced(app, tmp_path, chain, {**call, "delta_leg": {"instrument": "BTC-PERPETUAL"}})
    fixed = priced(app, tmp_path, chain, {**call, "delta_leg": {"instrument": "BTC-PERPETUAL", "price": 80_100}})
    assert bare["risk"]["delta_coin"] > 0.1
    assert abs(tied["risk"]["delta_coin"]) < 1e-4
    leg = tied["delta_leg"]
    assert leg["at"] == "market"
    assert leg["size"] % 10 == 0
    assert leg["size"] == pytest.approx(-bare["risk"]["delta_coin"] * 20 * 80_010, abs=10)
    assert tied["fair"] == pytest.approx(bare["fair"], abs=1e-12)
    gained = fixed["delta_leg"]["size"] / 20 * (1 / 80_100 - 1 / 80_010)
    assert fixed["fair"] - bare["fair"] == pytest.approx(gained, rel=1e-6)
    assert fixed["delta_leg"]["at"] == "fixed price"


def test_dollar_settled_packages_are_priced_in_dollars(app: typer.Typer, tmp_path: Path, chain: Path) -> None:
    inverse = priced(app, tmp_path, chain, {"legs": [{"instrument": "BTC-30JAN26-80000-C"}], "size": 1})
    linear = priced(app, tmp_path, chain, {"legs": [{"instrument": "BTC_USDC-30JAN26-80000-C"}], "size": 1})
    assert linear["unit"] == "USDC"
    assert linear["tick"] == 5.0
    assert linear["fair"] == pytest.approx(inverse["fair"] * float(MARKET.forward_usd[1]), rel=1e-9)


def test_a_policy_without_a_price_of_risk_charges_no_inventory(app: typer.Typer, tmp_path: Path, chain: Path) -> None:
    book = tmp_path / "book.csv"
    book.write_text("instrument,size\nBTC-30JAN26-80000-C,-30\n", encoding="utf-8")
    request = {"combo": CONDOR, "size": 5}
    document = priced(app, tmp_path, chain, request, "--policy", "primitive", "--book", str(book))
    assert document["bid"]["inventory"] == document["ask"]["inventory"] == 0.0


def test_for_a_person_the_parts_stand_under_both_prices(app: typer.Typer, tmp_path: Path, chain: Path) -> None:
    result = run(app, written(tmp_path, {"combo": STRANGLE, "size": 5}), "--chain", str(chain))
    assert result.exit_code == 0
    for line in ("price", "= fair value", "∓ spread", "winners curse", "∓ inventory", "win probability", "implied vol"):
        assert line in result.stdout


def test_what_is_not_quoted_says_why_and_ends_with_3(app: typer.Typer, tmp_path: Path, chain: Path) -> None:
    request = written(tmp_path, {"combo": STRANGLE, "size": 5, "ttl_s": 1000})
    result = run(app, request, "--chain", str(chain), "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert document["bid"] is document["ask"] is None
    assert document["refused"] == ["a quote for 1000 s stands longer than 300 s"]
    assert result.stderr.endswith("flatbook: no quote: a quote for 1000 s stands longer than 300 s\n")
    expired = written(tmp_path, {"legs": [{"instrument": "BTC-2JAN26-80000-C"}], "size": 1})
    result = run(app, expired, "--chain", str(chain))
    assert result.exit_code == 3
    assert "BTC-2JAN26-80000-C has expired" in result.stderr


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ("{", "request.json:1: is not JSON"),
        ([], "a request is an object, not list; give legs and size"),
        ({"size": 1}, "both combo and legs, or neither"),
        ({"combo": STRANGLE}, "size is missing; give a number above 0"),
        ({"combo": STRANGLE, "size": -1}, "size: -1 is not above 0"),
        ({"combo": STRANGLE, "size": True}, "size: True is no number"),
        ({"combo": STRANGLE, "size": 1, "tll": 3}, "request: 'tll' is not known; known are id, combo"),
        ({"combo": "BTC-XYZ-30JAN26-70000", "size": 1}, "strategy 'XYZ' has no known legs"),
        ({"combo": "BTC-FS-30JAN26_PERP", "size": 10}, "leg BTC-30JAN26 is no option"),
        ({"combo": STRANGLE, "size": 0.05}, "size 0.05 is not a multiple of the lot 0.1"),
        ({"combo": STRANGLE, "size": 1, "competitors": -1}, "competitors: -1 is below 0"),
        ({"legs": [], "size": 1}, "legs: [] is no list of legs"),
        ({"legs": [{"ratio": 1}], "size": 1}, "leg 1: instrument is missing"),
        ({"legs": [{"instrument": "BTC-30JAN26-70000-P", "ratio": 0.5}], "size": 1}, "leg 1: ratio 0.5 is no whole"),
        ({"legs": [{"instrument": "BTC-30JAN26-70000-P"}] * 2, "size": 1}, "is there twice; add its ratios up"),
        ({"legs": [{"instrument": "BTC-99JAN26-70000-P"}], "size": 1}, "is not a Deribit name"),
        (
            {"legs": [{"instrument": "BTC-30JAN26-70000-P"}, {"instrument": "BTC_USDC-30JAN26-70000-C"}], "size": 1},
            "not of one underlying settled in one currency",
        ),
        ({"combo": STRANGLE, "size": 1, "delta_leg": {"instrument": "ETH-PERPETUAL"}}, "no future or perpetual on BTC"),
        (
            {"combo": STRANGLE, "size": 1, "delta_leg": {"instrument": "BTC-PERPETUAL", "price": 0}},
            "delta_leg.price: 0",
        ),
    ],
)
def test_a_bad_request_is_one_line(app: typer.Typer, tmp_path: Path, chain: Path, request_: object, told: str) -> None:
    result = run(app, written(tmp_path, request_), "--chain", str(chain), "--json")
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert told in lines[-1]
    assert lines[-1].startswith("flatbook: ")
    assert len(lines) == 1


def test_a_market_is_needed_and_a_file_that_is_there(app: typer.Typer, tmp_path: Path, chain: Path) -> None:
    result = run(app, written(tmp_path, {"combo": STRANGLE, "size": 1}))
    assert result.exit_code == 2
    assert "give either --chain FILE or --session DIR" in result.stderr
    result = run(app, str(tmp_path / "absent.json"), "--chain", str(chain))
    assert result.exit_code == 2
    assert "absent.json: cannot be read" in result.stderr


def test_a_session_prices_with_what_it_had_taught_by_then(app: typer.Typer, tmp_path: Path, morning: Path) -> None:
    import polars as pl

    names = pl.read_parquet(morning / "chain.parquet")["instrument"].unique().sort().to_list()
    calls = [name for name in names if "-16JAN26-" in name and name.endswith("-C")]
    request = written(tmp_path, {"legs": [{"instrument": calls[len(calls) // 2]}], "size": 1})
    quotes = []
    for at in ("2026-01-06T07:10", "2026-01-06T07:50"):
        result = run(app, request, "--session", str(morning), "--at", at, "--json")
        assert result.exit_code == 0, result.stderr
        quotes.append(json.loads(result.stdout))
    assert [quote["market"]["at"] for quote in quotes] == ["2026-01-06T07:10:00.000Z", "2026-01-06T07:50:00.000Z"]
    assert quotes[0]["fair"] != quotes[1]["fair"]
    assert all(quote["ask"]["spread_parts"]["winners_curse"] > 0.0 for quote in quotes)
