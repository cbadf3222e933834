"""The sections of the tear sheet that are drawn: P&L, exposures, quotes, hedges, the smile."""

from flatbook.report import formats
from flatbook.report.charts import Frames, hedge_reasons
from flatbook.report.gamma_rent import CarryRow, RentRow, carry, gamma_rent
from flatbook.report.hedge_summary import by_kind, slippage_rows
from flatbook.report.markup import Column, Html, figure, nothing, section, signed_bar, table, tag, toned
from flatbook.report.summary import Summary
from flatbook.report.tables import PARTS


def pnl_section(summary: Summary) -> Html:
    """Equity over time, and the parts it came to."""
    pnl = summary["pnl"]
    note = (
        "Cumulative since the start. The parts sum to the total at every moment; shaded are the times when the loss "
        "stop was above normal. Click a name in the legend to show or hide it, drag to zoom, double-click to go back."
    )
    if pnl["total"] is None:
        return section("pnl", "P&L and its parts", note, nothing("No equity was recorded."))
    total = tag("p", "Total ", toned(pnl["total"], formats.usd(pnl["total"], 2, signed=True)), css="total")
    return section(
        "pnl",
        "P&L and its parts",
        note,
        tag("div", figure("equity", "Equity and parts", "USD"), tag("div", _parts(pnl), total), css="split"),
        figure("index", "Index", "USD per coin"),
    )


def _parts(pnl: Summary) -> Html:
    greatest = max(abs(pnl[name]) for name in PARTS)
    columns = (Column("Part", is_number=False), Column("P&L", "USD"), Column("", is_number=False))
    rows = [
        (formats.words(name), toned(pnl[name], formats.usd(pnl[name], signed=True)), signed_bar(pnl[name], greatest))
        for name in PARTS
    ]
    return table(columns, rows, css="parts")


def breakdown_section(summary: Summary) -> Html:
    """The parts again, in coin beside USD, and by day, strategy and expiry."""
    note = (
        "A coin part is its USD over the index, step by step; delta in coin is what spot moved beyond the equity that "
        "is coin. A step counts for the UTC day in which it ends; the perpetual, and contracts over the counter, have "
        "no expiry. Every table sums to the total."
    )
    if summary.get("pnl_by") is None:
        return section("breakdown", "P&L broken down", note, nothing("The run wrote no P&L by day."))
    ((currency, coin),) = summary["pnl_coin_parts"].items()
    whole = {"usd": summary["pnl"], "coin": coin}
    tables = []
    for key, rows in summary["pnl_by"].items():
        title = tag("h3", f"By {key} ", tag("small", f"USD; {currency} below"))
        tables += [title, _broken_down(key, [*rows, {key: "all", **whole}])]
    return section("breakdown", "P&L broken down", note, *tables)


def _broken_down(key: str, rows: list[Summary]) -> Html:
    columns = (
        Column(formats.words(key), is_number=False),
        *(Column(formats.words(name)) for name in ("total", *PARTS)),
    )
    cells = [
        (
            row[key],
            *(
                Html(f"{toned(usd, formats.usd(usd, signed=True))}{tag('small', formats.number(coin, 5, signed=True))}")
                for usd, coin in zip(row["usd"].values(), row["coin"].values(), strict=True)
            ),
        )
        for row in rows
    ]
    return table(columns, cells, css="dense")


def exposures_section(series: Frames) -> Html:
    """What the book held of each factor, over time."""
    note = "What the whole book, hedges included, gains per unit move of each factor."
    if series["exposures"].is_empty():
        return section("exposures", "Exposures", note, nothing("No exposure was recorded."))
    charts = (
        figure("delta", "Delta", "USD per unit return; coin on hover"),
        figure("vega", "Vega by tenor", "USD per vol point"),
        figure("gamma", "Gamma", "USD of delta per 1 % move"),
        figure("theta", "Theta", "USD per day"),
        figure("stress", "Stress loss", "USD, worst scenario"),
        figure("positions", "Open positions", "instruments"),
    )
    return section("exposures", "Exposures", note, tag("div", *charts, css="pairs"))


def quotes_section(series: Frames) -> Html:
    """Our quotes beside the market, an instrument at a time."""
    note = (
        "Our bid and ask around our fair value, the market's last known price beside them and our fills, in coin. "
        "A market dot is fainter the older its price; its age is shown when you point at it."
    )
    if series["quotes"].is_empty():
        return section("quotes", "Quotes against the market", note, nothing("No quote was recorded."))
    pick = Html('<div class="controls" id="quote-picks" role="group" aria-label="instrument"></div>')
    return section("quotes", "Quotes against the market", note, pick, figure("quote", "Prices", "coin"))


def hedges_section(series: Frames, summary: Summary) -> Html:
    """Delta before and after each hedge, what was paid, the reasons, and how the estimates did."""
    note = "Each hedge takes the book from its delta before to its delta after; the cost is over the mark."
    hedges = series["hedges"]
    if hedges.is_empty():
        return section("hedges", "Hedges", note, nothing("The run made no hedges."))
    columns = (
        Column("Reason", is_number=False),
        Column("Hedges"),
        Column("Volume", "USD"),
        Column("Cost", "USD"),
        Column("Fees", "USD"),
    )
    rows = [
        (
            row["reason"],
            formats.number(row["count"]),
            *(formats.usd(row[name]) for name in ("size_usd", "cost_usd", "fee_usd")),
        )
        for row in hedge_reasons(hedges).iter_rows(named=True)
    ]
    charts = (
        figure("hedge", "Delta before and after", "coin"),
        figure("hedge-cost", "Paid so far", "USD, cost and fees"),
    )
    figures = tag("div", *charts, css="pairs")
    return section("hedges", "Hedges", note, figures, table(columns, rows), _execution(series, summary["hedges"]))


def _execution(series: Frames, hedges: Summary) -> Html:
    """What was traded with, estimates against what was paid, and the hedger on itself."""
    kinds = (
        Column("Hedged with", is_number=False),
        Column("Hedges"),
        Column("Volume", "USD"),
        Column("Cost and fees", "USD"),
        Column("Gamma added", "USD per 1 %"),
        Column("Vega added", "USD per vol point"),
    )
    with_what = [
        (
            row["kind"],
            formats.number(row["count"]),
            formats.usd(row["volume_usd"]),
            formats.usd(row["cost_usd"] + row["fee_usd"], 2),
            formats.usd(row["gamma_added_1pct_usd"], signed=True),
            formats.usd(row["vega_added_usd"], 1, signed=True),
        )
        for row in by_kind(series["hedges"])
    ]
    sizes = (
        Column("Size", "USD", is_number=False),
        Column("Hedges"),
        Column("Expected", "bp over the mark"),
        Column("Paid", "bp over the mark"),
        Column("Error", "bp"),
    )
    estimates = [
        (
            f"{formats.usd(row.least_usd)} to {formats.usd(row.most_usd)}",
            formats.number(row.hedges),
            *(formats.number(1e4 * rate, 2) for rate in (row.expected_rate, row.realised_rate, row.error)),
        )
        for row in slippage_rows(series["hedges"])
    ]
    parts = [table(kinds, with_what)]
    if estimates:
        parts += [tag("h3", "Estimate before, slippage after"), table(sizes, estimates)]
    return Html("".join((*parts, tag("p", _of_itself(hedges), css="note"))))


def _of_itself(hedges: Summary) -> str:
    """What the hedger says of its waiting, its loop gain, and what it left to the flow."""
    said = []
    if hedges.get("waited_s_mean") is not None:
        said.append(
            f"From decision to fill {hedges['waited_s_mean']:.3g} s went by, in which delta moved by "
            f"{hedges['delta_drift_coin_rms']:.3g} coin, gamma by {hedges['gamma_drift_1pct_usd_rms']:,.3g} USD per "
            f"1 % and vega by {hedges['vega_drift_usd_rms']:,.3g} USD, root mean square; waiting earned "
            f"{hedges['waited_usd']:+,.2f} USD."
        )
    if hedges.get("loop_gain_most") is not None:
        slowed = hedges["slowed_decisions"]
        said.append(
            f"The loop gain of hedging reached {hedges['loop_gain_most']:.2g}; "
            + (f"{slowed} decisions were slowed by it." if slowed else "nothing was slowed by it.")
        )
    if hedges.get("internalised_share") is not None:
        said.append(f"Flow took {hedges['internalised_share']:.0%} of the delta that it brought away again by itself.")
    return " ".join(said)


def rent_section(series: Frames) -> Html:
    """What convexity paid for its rent, and basis positions for their funding, by day."""
    note = (
        "Gamma earns half its size times the square of each move, and theta is its rent: on a day that moves more than "
        "breaks even a long-gamma book gains, else a short one. Hedges in perpetuals and futures are basis "
        "positions too."
    )
    rents = gamma_rent(series)
    if not rents:
        return section("rent", "Gamma rent and carry", note, nothing("No exposure was recorded."))
    basis = tag("h3", "Hedges as basis positions")
    return section("rent", "Gamma rent and carry", note, _rents(rents), basis, _carries(carry(series)))


def _rents(rents: tuple[RentRow, ...]) -> Html:
    columns = (
        Column("From", "UTC", is_number=False),
        Column("Book", is_number=False),
        Column("Gamma", "USD per 1 %, mean"),
        Column("Moved", "scaled to a day"),
        Column("Break even", "of a day"),
        Column("Gamma", "USD"),
        Column("Rent", "theta, USD"),
        Column("Hedging", "USD"),
        Column("Net", "USD"),
    )
    rows = [
        (
            formats.moment(row.ts_ns),
            row.role,
            formats.usd(row.gamma_1pct_usd),
            formats.share(row.realised_move, 2),
            formats.share(row.break_even_move, 2),
            formats.usd(row.gamma_usd, signed=True),
            formats.usd(row.theta_usd, signed=True),
            formats.usd(-row.hedging_usd, signed=True),
            toned(row.net_usd, formats.usd(row.net_usd, signed=True)),
        )
        for row in rents
    ]
    return table(columns, rows)


def _carries(carries: tuple[CarryRow, ...]) -> Html:
    columns = (
        Column("From", "UTC", is_number=False),
        Column("Basis position", is_number=False),
        Column("Held", "USD, mean"),
        Column("Funding", "USD"),
        Column("Basis", "USD"),
        Column("Net", "USD"),
        Column("Funding", "a year, of what was held"),
    )
    rows = [
        (
            formats.moment(row.ts_ns),
            row.role,
            formats.usd(row.position_usd),
            formats.usd(row.funding_usd, signed=True),
            formats.usd(row.basis_usd, signed=True),
            toned(row.net_usd, formats.usd(row.net_usd, signed=True)),
            formats.share(row.funding_rate),
        )
        for row in carries
    ]
    return table(columns, rows)


def smile_section(series: Frames) -> Html:
    """The fit over its points, an expiry and a time at a time."""
    note = (
        "Our fitted slice over the vols it was fitted to, as they stood at that moment; a bar spans bid to ask, "
        "a point is fainter the older it is. Move the slider through the run."
    )
    if series["smiles"].is_empty():
        return section("smile", "The smile and our fit", note, nothing("No slice was fitted."))
    controls = Html(
        '<div class="controls" id="smile-picks" role="group" aria-label="expiry"></div>'
        '<label class="slider"><input type="range" id="smile-time" min="0" value="0" aria-label="time">'
        '<output id="smile-note"></output></label>'
    )
    return section(
        "smile",
        "The smile and our fit",
        note,
        controls,
        figure("smile-plot", "Vol by strike", "% per √year over USD; dotted: the forward"),
    )
