"""One quote of a run at a moment, taken apart: as a document of numbers, and as tables for a terminal."""

from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flatbook.app.rebuild import Moment, rebuilt_until, unobserved
from flatbook.app.run import Observe
from flatbook.decide.quote_parts import CLAMP, FAIR, INVENTORY, SPREAD
from flatbook.domain.errors import BadInputError
from flatbook.domain.instruments import Kind
from flatbook.domain.units import format_utc
from flatbook.engine.explaining import QuoteExplained, SideExplained, explain_quote
from flatbook.engine.state import State
from flatbook.report import formats

Document = dict[str, Any]

_PLACES = 7
_TOTALS = {SPREAD: "∓ spread", INVENTORY: "∓ inventory", CLAMP: "± clamps"}


def explain_document(
    path: Path, instrument: str, at_ns: int | None, session: str | None = None, observe: Observe = unobserved
) -> Document:
    """Why the quote of an instrument was what it was at a moment of the run in `path`; None for its last moment.

    Prices are in coin per contract; a side's parts sum to its price, or to what it would be where it has none. Null is
    what does not apply.

    Errors      BadInputError for a moment outside the run, or an instrument that it does not quote, or not yet
    """
    moment = rebuilt_until(path, at_ns, session, observe)
    state = moment.state
    row = _row(state, instrument, moment.at_ns)
    explained = explain_quote(state, row)
    if explained is None:
        raise BadInputError(f"{instrument}: nothing was decided about it by {format_utc(moment.at_ns)}; ask for later")
    return _document(moment, instrument, explained)


def _row(state: State, name: str, at_ns: int) -> int:
    underlying, contract = state.setup.underlying, state.setup.reference.instrument(name).contract
    if contract.kind is not Kind.OPTION or contract.base != underlying or not contract.is_inverse:
        raise BadInputError(f"{name}: the run quotes coin-settled options on {underlying} alone; name one of them")
    row = state.market.universe.row_of.get(name)
    if row is None:
        raise BadInputError(f"{name}: the run had not seen it by {format_utc(at_ns)}; ask for later, or for another")
    return row


def _document(moment: Moment, instrument: str, explained: QuoteExplained) -> Document:
    state, row = moment.state, explained.row
    values, quotes = state.values, state.quotes
    assert quotes is not None
    return {
        "run": moment.run_id,
        "policy": state.setup.policy.name,
        "instrument": instrument,
        "at": format_utc(moment.at_ns),
        "decided": format_utc(explained.decided_ns),
        "index_usd": values.index_usd,
        "forward_usd": _known(values.forward_usd[row]),
        "vol": _known(values.vol[row]),
        "vol_error": _known(quotes.inputs.vol_error[row]),
        "days": float(values.years[row]) * 365,
        "fair_coin": _known(quotes.fair_coin[row]),
        "tick_coin": float(state.market.universe.tick[row]),
        "widen": quotes.inputs.widen,
        "held": {
            "contracts": float(quotes.inputs.held_coin[row]),
            "delta_coin": state.risk.delta_coin,
            "gamma_1pct_usd": state.book.gamma_1pct_usd,
            "vega_usd_per_vol_pt": state.book.vega_usd_per_vol_pt,
            "loss_stop": state.risk.stage.name.lower(),
        },
        "bid": _side(state, row, explained.bid),
        "ask": _side(state, row, explained.ask),
    }


def _side(state: State, row: int, side: SideExplained) -> Document:
    lot = float(state.market.universe.lot_coin[row])
    return {
        "parts": [
            {"group": part.group, "name": part.name, "coin": _known(part.coin + 0.0)} for part in side.priced.parts
        ],
        "exact_coin": _known(side.priced.exact_coin),
        "wanted_coin": _on_tick(side.priced.price_coin),
        "price_coin": _on_tick(side.price_coin),
        "contracts": side.lots * lot if side.price_coin is not None else None,
        "absent": side.absent or None,
        "resting_coin": _on_tick(side.resting_coin),
        "resting_contracts": side.resting_lots * lot if side.resting_coin is not None else None,
        "held_back": side.held_back or None,
    }


def _on_tick(price: float | None) -> float | None:
    """Without the float's dust: no tick is finer than ten digits."""
    return None if price is None else round(price, 10)


def _known(value: float) -> float | None:
    return float(value) if abs(value) < float("inf") else None


def explain_tables(document: Document, sides: tuple[str, ...] = ("bid", "ask")) -> RenderableType:
    """The same for a person: a column a side, a row a part, totals by group."""
    head = Text.assemble(
        (document["instrument"], "bold"),
        f" in {document['run']}\n"
        f"at {document['at']}, as decided at {document['decided']}; spreads × {document['widen']:g}\n"
        f"index {formats.usd(document['index_usd'], 2)}, forward {formats.usd(document['forward_usd'], 2)}, vol "
        f"{formats.share(document['vol'], 2)} ± {formats.share(document['vol_error'], 2)}, "
        f"{document['days']:.2f} days\n",
        (_held(document["held"]), "dim"),
    )
    return Group(head, Text(), _table(document, sides), *_remarks(document, sides))


def _held(held: Document) -> str:
    return (
        f"held: {held['contracts']:+g} of it; the book's delta {held['delta_coin']:+.4f} coin, gamma "
        f"{formats.usd(held['gamma_1pct_usd'])} per 1 %, vega {formats.usd(held['vega_usd_per_vol_pt'])} a vol point; "
        f"loss stop {held['loss_stop']}"
    )


def _table(document: Document, sides: tuple[str, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    table.add_column("coin per contract", no_wrap=True)
    for side in sides:
        table.add_column(side, justify="right", no_wrap=True)

    def row(name: str, cells: list[float | None], style: str = "") -> None:
        table.add_row(name, *(formats.number(cell, _PLACES, signed=style == "dim") for cell in cells), style=style)

    row("price", [document[side]["price_coin"] for side in sides], "bold")
    row("= fair value", [document["fair_coin"]] * len(sides))
    named = [{(part["group"], part["name"]): part["coin"] for part in document[side]["parts"]} for side in sides]
    keys = list(dict.fromkeys(key for parts in named for key in parts if key[0] != FAIR))
    for group, label in _TOTALS.items():
        of_group = [key for key in keys if key[0] == group]
        if not of_group:
            continue
        totals = [[parts.get(key) or 0.0 for key in of_group] for parts in named]
        table.add_row(label, *(formats.number(sum(total), _PLACES, signed=True) for total in totals))
        for key in of_group:
            cells = [parts.get(key) for parts in named]
            if any(cells):
                row(f"    {formats.words(key[1]).lower()}", cells, "dim")
    row("rests at the venue", [document[side]["resting_coin"] for side in sides])
    return table


def _remarks(document: Document, sides: tuple[str, ...]) -> list[Text]:
    remarks = []
    for side in sides:
        if document[side]["absent"]:
            remarks.append(Text(f"no {side}: {document[side]['absent']}", "yellow"))
        if document[side]["held_back"]:
            remarks.append(Text(f"what rests as {side} differs: {document[side]['held_back']}", "yellow"))
    return [Text(), *remarks] if remarks else []
