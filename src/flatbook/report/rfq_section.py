"""The tear sheet's section on requests for quotes: how they ended, who asked, and the last of them one by one."""

import polars as pl

from flatbook.report import formats
from flatbook.report.charts import Frames
from flatbook.report.markup import Column, Html, section, table, tag, toned
from flatbook.report.summary import Summary

_SHOWN = 60


def rfq_section(series: Frames, summary: Summary) -> Html:
    """Nothing where nobody asked."""
    rfq = summary.get("rfq")
    if rfq is None:
        return Html("")
    note = (
        "Packages that we were asked to price as one thing. A win rate is of requests that were quoted to their end, "
        "beside what the win curve believed; a markout is what fair value gained us after the trade, negative where "
        "the counterparty knew better."
    )
    return section(
        "rfq",
        "Requests for quotes",
        note,
        _states(rfq),
        tag("h3", "By counterparty"),
        _counterparties(rfq),
        tag("h3", f"The last {min(_SHOWN, series['rfqs'].height)}"),
        _requests(series["rfqs"]),
    )


def _states(rfq: Summary) -> Html:
    columns = (
        Column("Received"),
        Column("Quoted"),
        Column("Amended"),
        *(Column(formats.words(state)) for state in rfq["states"]),
        Column("Notional traded", "USD"),
        Column("Fees", "USD"),
    )
    row = (
        *(formats.number(rfq[name]) for name in ("requests", "quoted", "amended")),
        *(formats.number(count) for count in rfq["states"].values()),
        formats.usd(rfq["volume_usd"]),
        formats.usd(rfq["fee_usd"], 2),
    )
    return table(columns, [row])


def _counterparties(rfq: Summary) -> Html:
    columns = (
        Column("Counterparty", is_number=False),
        Column("Requests"),
        Column("Quoted"),
        Column("Won"),
        Column("Win rate"),
        Column("Believed"),
        Column("Edge", "USD"),
        Column("Markout 1 min", "USD"),
        Column("Markout 10 min", "USD"),
        Column("Markout 1 h", "USD"),
    )
    rows = [
        (
            line["name"],
            *(formats.number(line[name]) for name in ("requests", "quoted", "won")),
            *(formats.share(line[name]) for name in ("win_rate", "believed_win_rate")),
            toned(line["edge_usd"], formats.usd(line["edge_usd"], signed=True)),
            *(
                toned(line[name], formats.usd(line[name], signed=True))
                for name in ("markout_1m", "markout_10m", "markout_1h")
            ),
        )
        for line in (*rfq["counterparties"], {"name": "all", **rfq})
    ]
    return table(columns, rows)


def _requests(rfqs: pl.DataFrame) -> Html:
    columns = (
        Column("Received", "UTC", is_number=False),
        Column("Counterparty", is_number=False),
        Column("Size"),
        Column("Wants", is_number=False),
        Column("Fair", "coin"),
        Column("Our bid", "coin"),
        Column("Our ask", "coin"),
        Column("End", is_number=False),
        Column("Traded at", "coin"),
        Column("Edge", "USD"),
        Column("Package", is_number=False),
    )
    wants = {1: "to buy", -1: "to sell", 0: "either"}
    rows = [
        (
            formats.moment(row["ts_ns"]),
            row["counterparty"],
            formats.number(row["size"], 1),
            wants[row["taker_side"]],
            *(formats.number(row[name], 4) for name in ("fair", "bid", "ask")),
            f"{row['state']}: {row['reason']}" if row["reason"] else row["state"],
            formats.number(row["traded_price"], 4),
            toned(row["edge_usd"], formats.usd(row["edge_usd"], signed=True)) if row["side"] else formats.DASH,
            row["package"],
        )
        for row in rfqs.tail(_SHOWN).reverse().iter_rows(named=True)
    ]
    return table(columns, rows)
