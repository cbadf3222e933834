"""The sections of the tear sheet that are listed: fills, fill models, ledger, log."""

from typing import Any

from flatbook.report import formats
from flatbook.report.charts import NS_PER_MS, Frames, best_and_worst, stage_spans
from flatbook.report.markup import Column, Html, nothing, section, signed_bar, table, tag, text, toned
from flatbook.report.summary import Summary

LOG_LINES = 200
"""The log shows this many entries, the newest."""


FILL_COLUMNS = (
    Column("Time", "UTC", is_number=False),
    Column("Fill", "contracts", is_number=False),
    Column("Outcome", "USD"),
    Column("Price", "coin"),
    Column("= Fair", "coin"),
    Column("+ Spread", "coin"),
    Column("+ Inventory", "coin"),
    Column("Edge", "USD"),
    Column("Fee", "USD"),
    Column("1 min", "USD"),
    Column("10 min", "USD"),
    Column("1 h", "USD"),
)


def fills_section(series: Frames) -> Html:
    """The ten best and ten worst fills, each with the three parts of its price."""
    note = (
        "Each price is fair value plus a spread part plus an inventory part. The outcome is the longest markout known, "
        "or the edge at the fill where none is, less the fee."
    )
    best, worst = best_and_worst(series["fills"])
    if best.is_empty():
        return section("fills", "Best and worst fills", note, nothing("The run had no fills."))
    lists = [tag("h3", "Best"), table(FILL_COLUMNS, map(_fill_row, best.iter_rows(named=True)), css="dense")]
    if not worst.is_empty():
        lists += [tag("h3", "Worst"), table(FILL_COLUMNS, map(_fill_row, worst.iter_rows(named=True)), css="dense")]
    return section("fills", "Best and worst fills", note, *lists)


def _fill_row(fill: dict[str, Any]) -> tuple[str | Html, ...]:
    side = tag("b", "bought" if fill["side"] > 0 else "sold", css="buy" if fill["side"] > 0 else "sell")
    what = Html(f"{side} {text(formats.number(fill['size'], 1))} {text(fill['instrument'])}")
    price_parts = (formats.number(fill[name], 5, signed=True) for name in ("spread_part", "inventory_part"))
    markouts = (formats.usd(fill[f"markout_{horizon}_usd"], signed=True) for horizon in ("1m", "10m", "1h"))
    outcome = formats.usd(fill["outcome_usd"], signed=True)
    return (
        formats.moment(fill["ts_ns"], seconds=True),
        what,
        Html(f"{toned(fill['outcome_usd'], outcome)}<small>at {text(fill['judged_at'])}</small>"),
        formats.number(fill["price"], 5),
        formats.number(fill["fair"], 5),
        *price_parts,
        formats.usd(fill["edge_usd"], signed=True),
        formats.usd(fill["fee_usd"], 2),
        *markouts,
    )


def limits_section(summary: Summary) -> Html:
    """What each bound left at the worst, and what it kept back."""
    note = (
        "What was left of each bound, in its own unit, had everything filled that could at the worst moment; what was "
        "kept back for it: sides of quotes lowered for what all could fill at once, sides and orders by themselves; "
        "and how often the book came to stand beyond."
    )
    counts = ("gave_way", "refused_quotes", "refused_orders", "breaches")
    rows = [
        limit
        for limit in summary.get("limits", [])
        if limit["least_left"] is not None or any(limit.get(key) for key in counts)
    ]
    if not rows:
        return section("limits", "Limits", note, nothing("Nothing was quoted, and nothing refused."))
    columns = (
        Column("Bound", is_number=False),
        Column("Least left"),
        Column("Gave way", "quote sides"),
        Column("Refused", "quote sides"),
        Column("Refused", "orders"),
        Column("Breached", "times"),
    )
    body = [
        (
            limit["name"].replace("_", " "),
            formats.number(limit["least_left"], 1),
            *(formats.number(limit.get(key, 0)) for key in counts),
        )
        for limit in rows
    ]
    return section("limits", "Limits", note, table(columns, body))


def fill_models_section(summary: Summary) -> Html:
    """What each model of fills would have given."""
    note = "The same quotes and tape under each model of who is filled at our price. Only one of them drives the book."
    models = summary["flow"]["fill_models"]
    if not models:
        return section("models", "Fill models side by side", note, nothing("The run compared no fill models."))
    greatest = max(abs(model["edge_usd"]) for model in models)
    columns = (
        Column("Model", is_number=False),
        Column("Fills"),
        Column("Size", "lots"),
        Column("Edge at the fill", "USD"),
        Column("", is_number=False),
    )
    rows = [
        (
            formats.words(model["name"]),
            formats.number(model["fills"]),
            formats.number(model["lots"]),
            toned(model["edge_usd"], formats.usd(model["edge_usd"], signed=True)),
            signed_bar(model["edge_usd"], greatest),
        )
        for model in models
    ]
    return section("models", "Fill models side by side", note, table(columns, rows, css="parts"))


def ledger_section(summary: Summary) -> Html:
    """Balances and P&L by currency, and whether the books balance."""
    ledger = summary["ledger"]
    state = "balanced" if ledger["balanced"] else "NOT balanced"
    verdict = tag("b", state, css="gain" if ledger["balanced"] else "loss")
    line = tag("p", "Every entry sums to zero: ", verdict, f". {ledger['positions_open']} positions open at the end.")
    columns = (Column("Currency", is_number=False), Column("Balance"), Column("P&L"))
    currencies = sorted({*ledger["balances"], *summary["pnl_coin"]})
    rows = [
        (name, *(formats.number(book.get(name), 8) for book in (ledger["balances"], summary["pnl_coin"])))
        for name in currencies
    ]
    parts = [line, table(columns, rows, css="narrow")]
    if len(ledger["venues"]) > 1:
        parts.append(_holdings(ledger["venues"]))
    return section("ledger", "Ledger", "", *parts)


def _holdings(venues: list[Summary]) -> Html:
    """What lies where: cash first, then what is held."""
    columns = (Column("Venue", is_number=False), Column("What", is_number=False), Column("Balance or size"))
    rows = [
        (held["venue"], name, formats.number(amount, 8))
        for held in venues
        for name, amount in (*held["balances"].items(), *held["positions"].items())
    ]
    return table(columns, rows, css="narrow")


def log_section(series: Frames, summary: Summary) -> Html:
    """Stage changes and log entries in one list."""
    stages = [(span["from"] * NS_PER_MS, "stage", span["stage"]) for span in stage_spans(series["equity"])]
    notes = [(entry["ts_ns"], entry["kind"], entry["text"]) for entry in summary["log"]]
    entries = sorted([*stages, *notes])
    shown = entries[-LOG_LINES:]
    left_out = len(entries) - len(shown)
    note = (
        f"The last {len(shown)} of {len(entries)} entries."
        if left_out
        else "Stage changes and what else was worth a line."
    )
    if not shown:
        return section("log", "Log", note, nothing("Nothing was logged."))
    columns = tuple(Column(name, is_number=False) for name in ("Time (UTC)", "Kind", "What"))
    rows = [
        (formats.moment(ts, seconds=True), kind, _badge(what) if kind == "stage" else what) for ts, kind, what in shown
    ]
    return section("log", "Log", note, table(columns, rows, css="log"))


def _badge(stage: str) -> Html:
    return tag("span", stage.replace("_", "-"), css=f"stage {stage}")
