"""`report.html`: the tear sheet as one file that opens without network."""

import msgspec

from flatbook.report import formats
from flatbook.report.assets import plotly_js, static
from flatbook.report.charts import Frames, chart_data
from flatbook.report.listings import fill_models_section, fills_section, ledger_section, limits_section, log_section
from flatbook.report.markup import Html, tag, text, tile, toned
from flatbook.report.monitors_section import monitors_section
from flatbook.report.other_coins import other_coins_section
from flatbook.report.rfq_section import rfq_section
from flatbook.report.sections import (
    breakdown_section,
    exposures_section,
    hedges_section,
    pnl_section,
    quotes_section,
    rent_section,
    smile_section,
)
from flatbook.report.summary import Summary
from flatbook.report.tables import conform


def render(frames: Frames, summary: Summary) -> str:
    """The whole page, from a run's series and its summary; deterministic in both."""
    series = conform(frames)
    body = (
        _header(summary),
        _tiles(summary),
        pnl_section(summary),
        breakdown_section(summary),
        exposures_section(series),
        quotes_section(series),
        hedges_section(series, summary),
        other_coins_section(summary.get("other_coins"), summary["pnl"]["other_coins"]),
        rent_section(series),
        rfq_section(series, summary),
        smile_section(series),
        fills_section(series),
        fill_models_section(summary),
        limits_section(summary),
        ledger_section(summary),
        monitors_section(summary),
        log_section(series, summary),
        _footer(summary),
    )
    return page(
        title=f"flatbook · {summary['run']['id']}",
        body=Html("".join(body)),
        script="report.js",
        data=chart_data(series),
    )


def page(*, title: str, body: Html, script: str, data: object) -> str:
    """A self-contained page: styles, plotly.js, the data and the script that draws it, all inline."""
    # In a script element `<` may begin its end or a comment; JSON may write it by its code.
    payload = msgspec.json.encode(data).decode().replace("<", "\\u003c")
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(title)}</title>",
            f"<style>{static('base.css')}{static('report.css')}</style>",
            f"<script>{plotly_js()}</script></head><body><main>{body}</main>",
            f'<script type="application/json" id="data">{payload}</script>',
            f"<script>{static('common.js')}{static(script)}</script></body></html>\n",
        )
    )


def _header(summary: Summary) -> Html:
    run = summary["run"]
    length = formats.span(run["to_ns"] - run["from_ns"])
    where = f"{formats.moment(run['from_ns'])} – {formats.moment(run['to_ns'])} UTC · {length}"
    market = run["session"] or "simulated market"
    seed = "" if run["seed"] is None else f" · seed {run['seed']}"
    return tag(
        "header",
        tag("p", "flatbook", css="brand"),
        tag("h1", run["policy"], tag("span", f" on {market}", css="quiet")),
        tag("p", f"{where}{seed}", css="lead"),
        _contents(summary),
    )


_MAY_LACK = {"rfq": "rfq", "other-coins": "other_coins"}
"""Sections that a run may lack, by the summary's key that is null then."""


def _contents(summary: Summary) -> Html:
    links = (
        "pnl",
        "breakdown",
        "exposures",
        "quotes",
        "hedges",
        "other-coins",
        "rent",
        "rfq",
        "smile",
        "fills",
        "models",
        "limits",
        "ledger",
        "monitors",
        "log",
    )
    names = (
        "P&L",
        "Broken down",
        "Exposures",
        "Quotes",
        "Hedges",
        "Other coins",
        "Gamma rent",
        "Requests",
        "Smile",
        "Fills",
        "Fill models",
        "Limits",
        "Ledger",
        "Monitors",
        "Log",
    )
    absent = {link for link, key in _MAY_LACK.items() if summary.get(key) is None}
    if not any(reading["value"] is not None for reading in summary["monitors"]["readings"]):
        absent.add("monitors")
    pairs = [(link, name) for link, name in zip(links, names, strict=True) if link not in absent]
    return tag("nav", *(Html(f'<a href="#{link}">{text(name)}</a>') for link, name in pairs))


def _tiles(summary: Summary) -> Html:
    pnl, risk, flow, quotes = (summary[name] for name in ("pnl", "risk", "flow", "quotes"))
    coins = " · ".join(formats.coin(amount, currency) for currency, amount in summary["pnl_coin"].items())
    unexplained = summary["checks"]["unexplained_share_of_gross"]
    markouts = f"10 min {formats.usd(flow['markout_10m'])} · 1 h {formats.usd(flow['markout_1h'])}"
    half_spread = formats.number(quotes["median_half_spread_vol_pt"], 2)
    return tag(
        "div",
        tile("Total P&L", toned(pnl["total"], formats.usd(pnl["total"], signed=True)), coins),
        tile("P&L swing", f"{formats.usd(risk['pnl_std_per_hour'])}", "standard deviation per hour"),
        tile("Greatest drawdown", formats.usd(risk["max_drawdown"]), "peak to trough"),
        tile("Unexplained", formats.share(unexplained, 2), f"of gross P&L · {formats.usd(pnl['unexplained'])}"),
        tile("Delta held", formats.usd(risk["delta_rms"]), "root mean square over time"),
        tile("Vega held", formats.usd(risk["vega_rms"]), "per vol point, root mean square"),
        tile("Gamma held", formats.usd(risk["gamma_1pct_rms"]), "per 1 % move, root mean square"),
        tile(
            "Stress loss", formats.usd(risk["stress_loss_max"]), f"worst seen · {risk['limit_breaches']} limit breaches"
        ),
        tile("Fills", formats.number(flow["fills"]), f"{formats.usd(flow['volume_usd'])} notional · {_of_tape(flow)}"),
        tile("Markout after 1 min", formats.usd(flow["markout_1m"]), markouts),
        tile(
            "Quoting",
            formats.share(quotes["uptime"]),
            f"of the time · two-sided {formats.share(quotes['two_sided_share'])}",
        ),
        tile("Half spread", f"{half_spread} vol pt", "median over quotes"),
        *_latency_tile(summary.get("latency")),
        css="tiles",
    )


def _latency_tile(latency: Summary | None) -> tuple[Html, ...]:
    """Of a run whose market happened meanwhile."""
    if latency is None:
        return ()
    p50, p99, most = (formats.number(latency[f"feed_to_quote_{name}_ms"], 2) for name in ("p50", "p99", "max"))
    note = f"99 % within · median {p50} ms · longest {most} ms · {formats.number(latency['samples'])} messages"
    return (tile("Feed to quote", f"{p99} ms", note),)


def _of_tape(flow: Summary) -> str:
    return f"{formats.share(flow['fill_share'])} of the tape"


def _footer(summary: Summary) -> Html:
    run = summary["run"]
    speed = f"{formats.number(run['events'])} events in {formats.number(run['wall_s'], 1)} s"
    trades = formats.number(run["trades_seen"])
    rate = f" ({formats.number(run['events_per_s'])} per second)"
    return tag(
        "footer",
        tag(
            "p",
            f"Run {run['id']} · flatbook {run['version']} · {speed}{rate} · {trades} trades seen",
        ),
        tag("p", f"State {run['state_sha256'] or formats.DASH}", css="mono"),
        tag(
            "p",
            "Times are UTC. A vol point is 0.01 of annual vol. Vega is per vol point, gamma the change of delta per "
            "1 % move, theta per day. Stress loss is the worst over the scenarios. Option prices are in coin.",
        ),
    )
