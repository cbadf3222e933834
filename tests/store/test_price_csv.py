"""Tables of contracts in and out: what is read, what is refused whole, and what one bad row leaves of the others."""

import math
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
import pytest

from flatbook.domain.errors import BadInputError
from flatbook.kernels.black import black
from flatbook.store.price_csv import lines_of, read_contracts, units_comment, write_prices
from flatbook.store.price_table import price_table, unknown_columns
from flatbook.valuation.contracts import parse_contract
from flatbook.valuation.exotics import value
from flatbook.valuation.measures import PRINTED_SCALE, Measures

HEADER = "id,style,right,strike,years,vol,rate,carry,spot,forward\n"
GREEKS = ["price", "delta", "gamma", "vega", "theta", "rho", "vanna", "volga", "charm", "speed", "zomma", "color"]


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "IN.csv"
    path.write_text(text, encoding="utf-8")
    return path


def priced(tmp_path: Path, text: str, *, implied: bool = False) -> pl.DataFrame:
    return price_table(read_contracts(table(tmp_path, text), implied=implied), implied=implied).frame


def test_one_row_out_for_each_row_in(tmp_path: Path) -> None:
    rows = "e,european,call,100,0.5,0.3,0.05,0.02,95,\na,american,put,100,0.5,0.3,0.05,0.02,95,\n"
    frame = priced(tmp_path, HEADER + rows + "i,inverse,call,100,0.5,0.3,0,0,,95\n")
    assert frame.columns == ["id", *GREEKS, "method", "error"]
    assert frame["id"].to_list() == ["e", "a", "i"]
    assert frame["method"].to_list() == ["black", "qdfp", "black"]
    assert frame["error"].to_list() == [None] * 3
    by_hand = math.exp(-0.025) * black(95.0 * math.exp(0.01), 100.0, 0.3, 0.5, 1.0).price
    assert frame["price"][0] == pytest.approx(by_hand, rel=1e-13)
    assert frame["price"][1] == pytest.approx(10.3566, abs=1e-4)  # a Leisen–Reimer tree of 1,001 steps
    assert frame["price"][2] == pytest.approx(black(95.0, 100.0, 0.3, 0.5, 1.0).price / 95.0, rel=1e-13)


def test_numbers_are_printed_in_the_units_they_are_said_to_be_in(tmp_path: Path) -> None:
    header = HEADER.strip() + ",barrier,barrier_kind\n"
    frame = priced(tmp_path, header + "b,barrier,put,100,0.5,0.3,0.05,0.02,95,,80,down_out\n")
    cells = {"style": "barrier", "right": "put", "strike": "100", "years": "0.5", "vol": "0.3", "rate": "0.05"}
    contract = parse_contract(cells | {"carry": "0.02", "spot": "95", "barrier": "80", "barrier_kind": "down_out"})
    natural = value(contract).measures
    for name in Measures._fields:
        assert frame[name][0] == getattr(natural, name) * getattr(PRINTED_SCALE, name)
    assert "# vega: d price per 0.01 of vol\n" in units_comment()
    assert "# theta: d price per calendar day (1/365 year)\n" in units_comment()
    assert all(line.startswith("# ") for line in units_comment().splitlines())


def test_a_bad_row_says_why_and_stops_no_other(tmp_path: Path) -> None:
    rows = [
        "good,european,call,100,0.5,0.3,0.05,0.02,95,",
        "vol,european,call,100,0.5,-0.3,0.05,0.02,95,",
        "word,european,call,x,0.5,0.3,0.05,0.02,95,",
        "short,european,call,100",
        "both,european,call,100,0.5,0.3,0.05,0.02,95,96",
        "style,bermudan,call,100,0.5,0.3,0.05,0.02,95,",
        "far,european,call,100,900000,0.3,0.05,0.02,95,",
        "last,american,call,100,0.5,0.3,0.05,0.02,95,",
    ]
    path = table(tmp_path, HEADER + "\n".join(rows) + "\n")
    result = price_table(read_contracts(path))
    frame = result.frame
    assert frame.filter(pl.col("error").is_null())["id"].to_list() == ["good", "last"]
    assert frame["error"].to_list()[1:7] == [
        "vol: -0.3 is negative; give a vol as a decimal per year",
        "strike: 'x' is not a number; give the strike in quote currency, above 0",
        "years: missing; give the time to expiry in years of 365 days, as 0.25",
        "spot: 95 is given beside a forward of 96; give a price above 0 in either spot or forward",
        frame["error"][5],
        "no finite price for these numbers; check years, vol, rate and carry",
    ]
    assert str(frame["error"][5]).startswith("style: 'bermudan' is not known; use one of european")
    assert frame.filter(pl.col("error").is_not_null()).select(*GREEKS, "method").null_count().row(0) == (6,) * 13
    assert result.errors == {row: frame["error"][row] for row in range(1, 7)}
    assert frame["price"][0] == priced(tmp_path, HEADER + rows[0] + "\n")["price"][0]


def test_rows_with_blanks_comments_quotes_and_capitals(tmp_path: Path) -> None:
    plain = priced(tmp_path, HEADER + "a,european,call,100,0.5,0.3,0.05,0.02,95,\n")
    text = "\ufeff# my book\r\n\r\n" + HEADER.replace(",", ", ").strip() + "\r\n\r\n# first\r\n"
    text += '"a", European ,CALL, 1e2 ,.5, 0.3,5e-2,0.02 ,95\r\n\r\n,,,\r\n'
    text += '"b,c",european,call,100,0.5,0.3,0.05,0.02,95,\r\n'
    frame = priced(tmp_path, text)
    assert frame["id"].to_list() == ["a", "b,c"]
    assert frame["price"].to_list() == plain["price"].to_list() * 2
    assert lines_of(tmp_path / "IN.csv", {0, 1}) == {0: 6, 1: 9}


def test_columns_may_come_in_any_order_and_unknown_ones_are_told(tmp_path: Path) -> None:
    text = "note,spot,carry,rate,vol,years,strike,right,style,id\nmine,95,0.02,0.05,0.3,0.5,100,call,european,a\n"
    path = table(tmp_path, text)
    frame = read_contracts(path)
    assert unknown_columns(frame) == ["note"]
    other = price_table(read_contracts(table(tmp_path, HEADER + "a,european,call,100,0.5,0.3,0.05,0.02,95,\n"))).frame
    assert price_table(frame).frame.equals(other)


def test_a_header_alone_is_an_empty_table(tmp_path: Path) -> None:
    for header in (HEADER, HEADER.strip()):
        frame = priced(tmp_path, header)
        assert frame.height == 0
        assert frame.columns == ["id", *GREEKS, "method", "error"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", "IN.csv: is empty; its first line must name columns: id, style, right"),
        ("\n# nothing\n", "IN.csv: is empty"),
        (
            "id,style\n1,2\n",
            "IN.csv:1: no column right, strike, years, vol, rate, carry, spot (or forward); the header",
        ),
        ("# c\n" + HEADER.replace("vol,", ""), "IN.csv:2: no column vol; the header has id, style"),
        (HEADER.replace(",", ";"), "IN.csv:1: no column id, style"),
        (HEADER.replace("carry", "rate"), "IN.csv:1: no column carry"),
        (HEADER.replace("forward", "rate"), "IN.csv:1: column 'rate' is there twice; keep one"),
        (HEADER + "a,european,call,100,0.5,0.3,0.05,0.02,95,,7\n", "IN.csv:2: 11 fields under a header of 10; quote"),
        (
            HEADER + "a,european,call,100,0.5,0.3,0.05,0.02,95,\n\nb,european,call,1,000,0.5,0.3,0.05,0.02,95,\n",
            "IN.csv:4: 11 fields under a header of 10",
        ),
        (HEADER + '"a,european,call,100,0.5,0.3,0.05,0.02,95,\n', "IN.csv: is not a table of comma-separated values"),
    ],
)
def test_a_file_that_is_no_table_is_refused_whole(tmp_path: Path, text: str, answer: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read_contracts(table(tmp_path, text))
    assert answer in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "IN.csv"
    for rows in (1, 200_000):  # in the piece read for the header, and far behind it
        path.write_bytes(HEADER.encode() + b"a,european,call,100,0.5,0.3,0.05,0.02,95,\n" * rows + b"\xff\xfe\n")
        with pytest.raises(BadInputError, match=r"IN\.csv: is not UTF-8 text; save it as UTF-8"):
            read_contracts(path)


@pytest.mark.parametrize("name", ["none.csv", "."])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match=r"cannot be read .*; name a CSV file of contracts"):
        read_contracts(tmp_path / name)


def test_implied_gives_the_vol_back_and_its_greeks(tmp_path: Path) -> None:
    rows = [
        "e,european,call,100,0.5,0.3,0.05,0.02,95,",
        "f,european,put,100,0.5,0.3,0.05,0.02,,95",
        "i,inverse,call,100,0.5,0.3,0.05,0.02,,95",
        "a,american,put,100,0.5,0.3,0.05,0.02,95,",
        "b, european,put,100,0.5,0.3,0.05,0.02,95,",
    ]
    forward = priced(tmp_path, HEADER + "\n".join(rows) + "\n")
    backward_rows = [
        row.replace("0.3", repr(price)) for row, price in zip(rows, forward["price"].to_list(), strict=True)
    ]
    frame = priced(tmp_path, HEADER.replace("vol", "price") + "\n".join(backward_rows) + "\n", implied=True)
    assert frame.columns == ["id", "price", "vol", *GREEKS[1:], "method", "error"]
    assert frame["vol"].to_list() == pytest.approx([0.3] * 5, rel=1e-10)
    for name in GREEKS:
        assert frame[name].to_list() == pytest.approx(forward[name].to_list(), rel=1e-6, abs=1e-12)


def test_a_price_without_a_vol_says_why(tmp_path: Path) -> None:
    rows = [
        "low,european,call,90,0.5,4,0,0,,100",
        "high,european,call,90,0.5,101,0,0,,100",
        "intrinsic,european,call,90,0.5,10,0,0,,100",
        "now,european,call,90,0,10,0,0,,100",
        "minus,european,call,90,0.5,-1,0,0,,100",
        "american,american,call,90,0.5,101,0,0,,100",
        "good,european,call,90,0.5,12,0,0,,100",
    ]
    frame = priced(tmp_path, HEADER.replace("vol", "price") + "\n".join(rows) + "\n", implied=True)
    errors = frame["error"].to_list()
    assert errors[:5] == [
        "price: 4 is below the contract's intrinsic value; check spot, strike and right",
        "price: 101 is above what any vol gives; check spot, strike and right",
        "price: 10 says nothing of vol: any vol gives it to the last digit",
        "price: 10 says nothing of vol: any vol gives it to the last digit",
        "price: -1 is negative; give the price to be implied, 0 or more",
    ]
    assert str(errors[5]).startswith("price: 101 is not reached by any vol")
    assert frame["vol"].is_null().to_list() == [True] * 6 + [False]
    assert frame["price"].is_null().to_list() == [True] * 6 + [False]


def test_contracts_on_two_assets_add_columns_at_the_end(tmp_path: Path) -> None:
    header = HEADER.strip() + ",spot2,vol2,carry2,correlation\n"
    rows = "x,exchange,,,0.5,0.3,0.05,0.02,95,,90,0.4,0.01,0.5\ne,european,call,100,0.5,0.3,0.05,0.02,95,,,,,\n"
    frame = priced(tmp_path, header + rows)
    assert frame.columns[-4:] == ["error", "delta2", "gamma2", "vega2"]
    assert frame["delta2"][0] < 0.0 < frame["gamma2"][0]
    assert frame.row(1)[-3:] == (None, None, None)


def test_by_column_and_by_row_are_one(tmp_path: Path) -> None:
    """A table of vanillas alone, and the same rows shuffled among others, give the same numbers."""
    rng = np.random.default_rng(5)
    rows = [
        f"v{i},{style},{right},{strike:.3f},{years:.4f},0.5,0.03,0.01,{spot}"
        for i, (style, right, strike, years, spot) in enumerate(
            zip(
                rng.choice(["european", "inverse"], 50),
                rng.choice(["call", "put"], 50),
                rng.uniform(70.0, 140.0, 50),
                rng.uniform(0.0, 2.0, 50),
                rng.choice(["100,", ",100"], 50),
                strict=True,
            )
        )
    ]
    alone = priced(tmp_path, HEADER + "\n".join(rows) + "\n")
    mixed = [line for row in rows for line in (row, "bad,european,call,,,,,,,", row.replace("0.5,0.03", " 0.5,0.03"))]
    frame = priced(tmp_path, HEADER + "\n".join(mixed) + "\n")
    assert frame[::3].equals(alone)
    assert frame[2::3].equals(alone)
    assert frame[1::3]["price"].null_count() == 50


def test_what_is_written_is_read_back_and_nothing_half(tmp_path: Path) -> None:
    result = price_table(read_contracts(table(tmp_path, HEADER + "a,european,call,100,0.5,0.3,0.05,0.02,95,\n")))
    out = tmp_path / "OUT.csv"
    write_prices(result, out)
    assert out.read_text(encoding="utf-8").startswith("# price: ")
    back = pl.read_csv(out, comment_prefix="#")
    assert back["price"].to_list() == result.frame["price"].to_list()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["IN.csv", "OUT.csv"]
    with pytest.raises(BadInputError, match="cannot be written"):
        write_prices(result, tmp_path / "no" / "OUT.csv")


@pytest.mark.slow
def test_a_million_rows_cost_little_more_than_reading_and_writing_them(tmp_path: Path) -> None:
    """Pricing takes less time than polars takes to read the file and write the answer; rows are not touched singly."""
    count = 300_000
    rng = np.random.default_rng(2)
    pl.DataFrame(
        {
            "id": np.arange(count),
            "style": np.repeat("european", count),
            "right": rng.choice(["call", "put"], count),
            "strike": rng.uniform(50.0, 150.0, count).round(2),
            "years": rng.uniform(0.01, 2.0, count).round(6),
            "vol": rng.uniform(0.1, 1.5, count).round(4),
            "rate": rng.uniform(0.0, 0.1, count).round(4),
            "carry": rng.uniform(0.0, 0.1, count).round(4),
            "spot": rng.uniform(80.0, 120.0, count).round(2),
        }
    ).write_csv(tmp_path / "IN.csv")

    def timed() -> tuple[float, float]:
        began = perf_counter()
        frame = read_contracts(tmp_path / "IN.csv")
        read = perf_counter()
        result = price_table(frame)
        valued = perf_counter()
        write_prices(result, tmp_path / "OUT.csv")
        assert not result.errors
        return valued - read, perf_counter() - valued + read - began

    timed()  # compile
    pricing, moving = min((timed() for _ in range(3)), key=lambda times: times[0] / times[1])
    assert pricing < 2.0 * moving
