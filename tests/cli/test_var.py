"""`flatbook var` as a user has it: a book, a chain and a history in; measures, a picture, or one line out."""

from pathlib import Path

import numpy as np
import pytest

from flatbook.domain.units import NS_PER_HOUR, format_utc
from flatbook.market.shock import Shock
from tests.market.snapshots import NOW_NS
from tests.store.simulated_chains import chain_rows, write_chain_file

from .conftest import BTC, Flatbook

BOOK = """\
instrument,size,price,currency,amount
BTC-30JAN26-80000-C,-10,0.05,,
BTC-30JAN26-80000-P,-10,,,
BTC-27MAR26-90000-C,4,,,
BTC-PERPETUAL,50000,78000,,
,,,BTC,1
"""
QUICK = ("--scenarios", 1_000)


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two months of hourly closes that end at the market's moment."""
    rng = np.random.default_rng(1)
    closes = 80_000.0 * np.exp(np.cumsum(0.006 * rng.standard_normal(1_500)))
    times = [format_utc(NOW_NS - hours * NS_PER_HOUR) for hours in range(1_499, -1, -1)]
    path = tmp_path_factory.mktemp("prices") / "prices.csv"
    rows = "".join(f"{time},{close:.2f}\n" for time, close in zip(times, closes.tolist(), strict=True))
    path.write_text("Date,Close\n" + rows, encoding="utf-8")
    return path


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.csv"
    path.write_text(BOOK, encoding="utf-8")
    return path


def test_every_method_by_every_confidence_and_parts_that_sum(
    flatbook: Flatbook, book: Path, chain: Path, prices: Path
) -> None:
    ended = flatbook("var", book, "--chain", chain, "--history", prices, "--json", *QUICK)
    assert ended.code == 0
    found = ended.document
    assert list(found["methods"]) == ["historical", "filtered", "monte_carlo", "delta_gamma_vega"]
    for method in found["methods"].values():
        assert [level["confidence"] for level in method["by_confidence"]] == [0.95, 0.975, 0.99]
        assert method["by_confidence"][2]["es_usd"] > method["by_confidence"][0]["var_usd"] > 0
        main = method["by_confidence"][2]
        assert sum(row["component_var_usd"] for row in method["rows"]) == pytest.approx(main["var_usd"])
        assert sum(row["component_es_usd"] for row in method["rows"]) == pytest.approx(main["es_usd"])
        assert main["liquidity_adjusted_var_usd"] > main["var_usd"]
    greeks, full = (found["methods"][name]["by_confidence"][2] for name in ("delta_gamma_vega", "monte_carlo"))
    assert greeks["var_usd"] == pytest.approx(full["var_usd"], rel=0.15)
    assert [row["instrument"] for row in found["methods"]["historical"]["rows"]][-1] == "balance BTC"
    assert found["history"]["readings"] == 1_500
    assert found["liquidity"]["not_quoted"] == []
    assert "what vols and carry did beside is drawn from Σ" in ended.err


def test_the_same_seed_gives_the_same_numbers_and_a_method_alone_its_own(
    flatbook: Flatbook, book: Path, chain: Path, prices: Path
) -> None:
    asked = ("var", book, "--chain", chain, "--history", prices, "--json", *QUICK)
    every, other = (flatbook(*asked, "--seed", seed).document["methods"] for seed in (3, 4))
    for method in ("filtered", "monte_carlo"):
        alone = flatbook(*asked, "--seed", 3, "--method", method).document["methods"]
        assert alone[method] == every[method]
        assert other[method] != every[method]


def test_without_a_history_sigma_is_all_there_is(flatbook: Flatbook, book: Path, chain: Path) -> None:
    ended = flatbook("var", book, "--chain", chain, "--horizon", "1h", "--confidence", 0.9, "--exit", "0.5h", *QUICK)
    assert ended.code == 0
    for word in ("over 1 h", "Monte Carlo", "Greeks", "90", "balance BTC", "Getting out"):
        assert word in ended.out
    assert "Historical" not in ended.out
    assert "no --history: historical, filtered left out" in ended.err


def test_the_picture_and_the_backtest(
    flatbook: Flatbook, book: Path, chain: Path, prices: Path, tmp_path: Path
) -> None:
    page = tmp_path / "var.html"
    ended = flatbook(
        *("var", book, "--chain", chain, "--history", prices, "--backtest", "--html", page), "--json", *QUICK
    )
    backtest = ended.document["backtest"]
    # Hours make days that follow each other, after the first sixty; the last lacks one hour.
    assert backtest["forecasts"] == (1_500 - 60) // 24
    held = backtest["methods"]["historical"][0]
    assert held["expected"] == pytest.approx(0.05 * backtest["forecasts"])
    assert 0.0 < held["kupiec"]["p_value"] <= 1.0
    assert held["zone"] in ("green", "yellow", "red")
    assert list(backtest["methods"]) == ["historical", "filtered"]
    text = page.read_text(encoding="utf-8")
    for word in ("Value at risk", "Filtered historical", "backtest-chart", "components-chart", "Acerbi–Székely"):
        assert word in text


def test_a_history_of_chains_is_calibrated_and_judged_by_itself(flatbook: Flatbook, book: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    folder = tmp_path / "chains"
    folder.mkdir()
    for number in range(63):
        spot, vol = 0.01 * rng.standard_normal(), 0.01 * rng.standard_normal()
        ago = NOW_NS - (63 - number) * 6 * NS_PER_HOUR
        market = BTC.shocked(Shock(spot, vol))
        object.__setattr__(market, "ts_ns", ago)
        chain_rows(market, per_index=16).write_csv(folder / f"{number:02d}.csv")
    write_chain_file(folder / "99.csv", BTC)
    (folder / "notes.csv").write_text("no,chain\n1,2\n", encoding="utf-8")
    ended = flatbook(
        *("var", book, "--chain", folder / "99.csv", "--history", folder, "--horizon", "6h", "--backtest"),
        *("--json", *QUICK),
    )
    assert ended.code == 0
    assert ended.document["history"]["readings"] == 64
    assert ended.document["backtest"]["forecasts"] == 3
    assert list(ended.document["backtest"]["methods"]) == ["historical", "filtered", "monte_carlo"]


@pytest.mark.parametrize(
    ("rows", "answer"),
    [
        ("BTC-30JAN26-80000-X,1", "book.csv:2: instrument 'BTC-30JAN26-80000-X' is not a Deribit name"),
        ("BTC-PERPETUAL,1\nBTC-2JAN26-80000-C,1", "book.csv:3: BTC-2JAN26-80000-C expired at"),
        ("BTC-30JAN26-80000-C,nan", "book.csv:2: size: nan is not finite"),
        ("SOL_USDC-30JAN26-100-C,1", "no chain of 'SOL' in it"),
        ("BTC-30JAN26-80000-C,", "book.csv:2: size"),
    ],
)
def test_a_bad_book_is_one_line(flatbook: Flatbook, tmp_path: Path, chain: Path, rows: str, answer: str) -> None:
    path = tmp_path / "book.csv"
    path.write_text(f"instrument,size\n{rows}\n", encoding="utf-8")
    ended = flatbook("var", path, "--chain", chain, *QUICK)
    assert ended.code == 2
    assert answer in ended.complaint


def test_dollars_alone_have_no_risk_to_tell_of(flatbook: Flatbook, tmp_path: Path, chain: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text("currency,amount\nUSDC,100\n", encoding="utf-8")
    ended = flatbook("var", path, "--chain", chain)
    assert (ended.code, "holds dollars alone" in ended.complaint) == (2, True)


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (("--horizon", "1w"), "--horizon '1w': write hours or days"),
        (("--confidence", "99"), "write 99 % as 0.99"),
        (("--method", "magic"), "--method 'magic' is not known; use one of historical,"),
        (("--method", "filtered"), "--method filtered needs a history"),
        (("--backtest",), "--backtest needs a history"),
        (("--scenarios", "5"), "--scenarios 5: give 100 at least"),
        (("--history", "none"), "--history none: no such file or directory"),
        (("--html", "/nowhere/x.html", *QUICK), "--html /nowhere/x.html: cannot be written"),
    ],
)
def test_options_that_mean_nothing(
    flatbook: Flatbook, book: Path, chain: Path, options: tuple[str, ...], answer: str
) -> None:
    ended = flatbook("var", book, "--chain", chain, *options)
    assert ended.code == 2
    assert answer in ended.complaint


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Date,Close\n2026-01-01,80000\n2026-01-02,-1\n", "prices.csv:3: Close -1"),
        ("Date,Close\nyesterday,80000\n", "prices.csv:2: time 'yesterday' is not ISO-8601"),
        ("Date,Close\n2026-01-01,80000\n", "1 readings of BTC by then"),
        ("a,b\n1,2\n", "or a table with a time and a price"),
    ],
)
def test_a_bad_history_is_one_line(
    flatbook: Flatbook, book: Path, chain: Path, tmp_path: Path, text: str, answer: str
) -> None:
    path = tmp_path / "prices.csv"
    path.write_text(text, encoding="utf-8")
    ended = flatbook("var", book, "--chain", chain, "--history", path)
    assert ended.code == 2
    assert answer in ended.complaint


def test_prices_of_two_coins_are_told_apart(flatbook: Flatbook, tmp_path: Path, chain: Path, prices: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text("instrument,size\nBTC-PERPETUAL,1000\nETH-PERPETUAL,1000\n", encoding="utf-8")
    ended = flatbook("var", path, "--chain", chain, "--history", prices)
    assert (ended.code, "of which of BTC, ETH are these prices" in ended.complaint) == (2, True)
    both = ("--history", f"BTC={prices}", "--history", f"ETH={prices}")
    found = flatbook("var", path, "--chain", chain, *both, "--json", "--method", "historical").document
    rows = found["methods"]["historical"]["rows"]
    assert rows[0]["component_var_usd"] == pytest.approx(rows[1]["component_var_usd"], rel=0.02)
