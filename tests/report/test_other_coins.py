import polars as pl

from flatbook.report.facts import RunFacts
from flatbook.report.html import render
from flatbook.report.other_coin_row import OtherCoinRow
from flatbook.report.summary import summarise
from flatbook.report.tables import HedgeRow, Tables

ETH = "ETH_USDC-PERPETUAL"


def of_eth(ts_ns: int, delta_usd: float, error: float) -> OtherCoinRow:
    size = delta_usd / 2_500.0
    return OtherCoinRow(ts_ns, "ETH", ETH, 2_500.0, size, delta_usd, 0.9 * delta_usd, 2e6, 0.9, 0.8, error)


def test_a_coin_is_told_of_as_it_stands_at_last_under_its_own_name(tables: Tables, facts: RunFacts) -> None:
    frames = _with(tables, of_eth(1, -90_000.0, 0.2), of_eth(2, -50_000.0, 0.1))
    summary = summarise(frames, facts)
    (eth,) = summary["other_coins"]
    assert (eth["coin"], eth["instrument"], eth["delta_usd"], eth["as_ours_usd"]) == ("ETH", ETH, -50_000.0, -45_000.0)
    assert (eth["delta_usd_most"], eth["error"], eth["hedges"], eth["volume_usd"]) == (90_000.0, 0.1, 1, 40_000.0)
    page = render(frames, summary)
    assert '<a href="#other-coins">Other coins</a>' in page
    section = page[page.index('id="other-coins"') :].split("</section>")[0]
    assert all(told in section for told in (ETH, "−20.00", "−$50,000", "$2,000,000", "0.80 ± 0.10"))


def test_without_one_nothing_is_told(tables: Tables, facts: RunFacts) -> None:
    summary = summarise(tables, facts)
    assert summary["other_coins"] is None
    assert "Other coins</a>" not in render(tables.frames(), summary)


def test_what_is_not_known_is_null(tables: Tables, facts: RunFacts) -> None:
    unknown = of_eth(1, 0.0, 0.5)._replace(price_usd=float("nan"))
    (eth,) = summarise(_with(tables, unknown), facts)["other_coins"]
    assert eth["price_usd"] is None


def _with(tables: Tables, *rows: OtherCoinRow) -> dict[str, pl.DataFrame]:
    frames = tables.frames()
    more = Tables()
    for row in rows:
        more.other_coins.append(row)
    traded = HedgeRow(3, "E1", ETH, -1, 40_000.0, 2_500.0, 83_000.0, 3.0, 20.0, 1.0, 0.6, "why")
    frames["other_coins"] = more.other_coins.frame()
    frames["hedges"] = pl.concat([frames["hedges"], _frame_of(traded)])
    return frames


def _frame_of(row: HedgeRow) -> pl.DataFrame:
    tables = Tables()
    tables.hedges.append(row)
    return tables.hedges.frame()
