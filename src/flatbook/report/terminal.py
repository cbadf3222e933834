"""The tear sheet in a terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flatbook.report import formats
from flatbook.report.summary import Summary
from flatbook.report.tables import PARTS

BAR_CELLS = 10
EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


def tear_sheet(summary: Summary) -> RenderableType:
    """Headline, P&L by part, and the key numbers beside it; fits 80 columns."""
    columns = Table.grid(padding=(0, 3))
    columns.add_row(_pnl(summary), _numbers(summary))
    return Group(_headline(summary), Text(), columns, Text(), *_closing(summary))


def toned(value: float | None, shown: str) -> Text:
    """A signed amount, green above zero and red below."""
    return Text(shown, style="" if not value else ("green" if value > 0 else "red"))


def _headline(summary: Summary) -> Text:
    run, total = summary["run"], summary["pnl"]["total"]
    length = formats.span(run["to_ns"] - run["from_ns"])
    return Text.assemble(
        (run["policy"], "bold"),
        f" on {run['session'] or 'the simulated market'}, {length} to {formats.moment(run['to_ns'])} UTC: ",
        toned(total, formats.usd(total, signed=True)),
        ", drawdown ",
        formats.usd(summary["risk"]["max_drawdown"]),
    )


def _pnl(summary: Summary) -> Table:
    pnl = summary["pnl"]
    known = [abs(pnl[name]) for name in PARTS if pnl[name] is not None]
    greatest = max(known, default=0.0)
    table = Table(box=None, pad_edge=False, show_edge=False, padding=(0, 1), header_style="dim")
    table.add_column("P&L", no_wrap=True)
    table.add_column("USD", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in PARTS:
        value = pnl[name]
        table.add_row(formats.words(name), toned(value, formats.usd(value, signed=True)), _bar(value, greatest))
    table.add_row(Text("Total", "bold"), toned(pnl["total"], formats.usd(pnl["total"], signed=True)))
    return table


def _bar(value: float | None, greatest: float) -> Text:
    if not value or greatest == 0:
        return Text()
    full, rest = divmod(round(8 * BAR_CELLS * abs(value) / greatest), 8)
    return toned(value, "█" * full + EIGHTHS[rest])


def _numbers(summary: Summary) -> Table:
    risk, flow, quotes, hedges = (summary[name] for name in ("risk", "flow", "quotes", "hedges"))
    rows = (
        ("P&L std / hour", formats.usd(risk["pnl_std_per_hour"])),
        ("Delta rms", formats.usd(risk["delta_rms"])),
        ("Gamma rms, per 1 %", formats.usd(risk["gamma_1pct_rms"])),
        ("Vega rms, per vol pt", formats.usd(risk["vega_rms"])),
        ("Stress loss, worst", formats.usd(risk["stress_loss_max"])),
        ("Limit breaches", formats.number(risk["limit_breaches"])),
        ("Fills", formats.number(flow["fills"])),
        ("Volume", formats.usd(flow["volume_usd"])),
        ("Share of the tape", formats.share(flow["fill_share"])),
        ("Markout 1 min", formats.usd(flow["markout_1m"])),
        ("Markout 10 min", formats.usd(flow["markout_10m"])),
        ("Markout 1 h", formats.usd(flow["markout_1h"])),
        ("Quoting", formats.share(quotes["uptime"])),
        ("Half spread", f"{formats.number(quotes['median_half_spread_vol_pt'], 2)} vol pt"),
        ("Hedges", f"{formats.number(hedges['count'])}, {formats.usd(hedges['volume_usd'])}"),
    )
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for name, value in rows:
        table.add_row(name, value)
    return table


def _closing(summary: Summary) -> list[Text]:
    run, ledger = summary["run"], summary["ledger"]
    balanced = Text("balanced", "green") if ledger["balanced"] else Text("NOT balanced", "bold red")
    coins = ", ".join(formats.coin(amount, name) for name, amount in summary["pnl_coin"].items())
    models = ", ".join(
        f"{model['name']} {formats.number(model['fills'])} ({formats.usd(model['edge_usd'], signed=True)})"
        for model in summary["flow"]["fill_models"]
    )
    speed = f"{formats.number(run['events'])} events in {formats.number(run['wall_s'], 1)} s"
    lines = [
        Text.assemble("Ledger ", balanced, f"; P&L {coins or formats.DASH}; {ledger['positions_open']} positions open")
    ]
    if models:
        lines.append(Text(f"Fills under each model (edge): {models}"))
    lines.append(Text(f"{speed}; state {(run['state_sha256'] or formats.DASH)[:16]}", "dim"))
    return lines
