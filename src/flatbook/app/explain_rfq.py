"""One answer to a request of a run, taken apart: as a document of numbers, and as tables for a terminal."""

from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flatbook.app.rebuild import rebuilt_until, unobserved
from flatbook.app.rfq_document import SPREAD_PARTS
from flatbook.app.run import Observe
from flatbook.domain.errors import BadInputError
from flatbook.domain.units import format_utc
from flatbook.engine.rfq_desk import Request, Told
from flatbook.engine.rfq_recording import package_name
from flatbook.report import formats

Document = dict[str, Any]


def explain_rfq_document(
    path: Path, rfq_id: str, at_ns: int | None, session: str | None = None, observe: Observe = unobserved
) -> Document:
    """The last answer to a request by a moment of the run in `path`; None for its last moment.

    Prices are in coin per package. A side is fair value less spread and inventory, or more of both, to the tick.

    Errors      BadInputError for a moment outside the run, or a request that nobody made by then
    """
    moment = rebuilt_until(path, at_ns, session, observe)
    desk = moment.state.rfqs
    if desk is None:
        raise BadInputError(f"{path}: its policy answers no requests ([rfq] answers); ask for an instrument")
    request = desk.request(rfq_id)
    if request is None:
        known = ", ".join([*desk.ended, *desk.open][-5:]) or "none"
        raise BadInputError(f"--rfq {rfq_id}: nobody asked so by {format_utc(moment.at_ns)}; the last are {known}")
    told = request.told[-1] if request.told else None
    return {
        "run": moment.run_id,
        "policy": moment.state.setup.policy.name,
        "rfq": rfq_id,
        "counterparty": request.asked.counterparty,
        "package": package_name(request.asked),
        "size": request.asked.size,
        "at": format_utc(moment.at_ns),
        "received": format_utc(request.received_ns),
        "answered": None if told is None else format_utc(told.ts_ns),
        "expires": None if told is None else format_utc(told.quote.expires_ns),
        "versions": len(request.told),
        "state": str(request.state),
        "why_not": list(request.why_not),
        "fair": None if told is None else told.priced.value.fair,
        "typical_half_spread": None if told is None else told.priced.typical,
        "bid": _side(request, told, 1),
        "ask": _side(request, told, -1),
    }


def _side(request: Request, told: Told | None, ours: int) -> Document | None:
    """A side that went out; its parts as costs: a bid is fair less all of them, an ask fair and all of them."""
    made = None if told is None else told.side(ours)
    if told is None or made is None:
        return None
    return {
        "price": told.quote.price(ours),
        "spread": made.spread,
        "inventory": made.inventory,
        "before_rounding": made.exact,
        "spread_parts": {name: getattr(made, name) for name in SPREAD_PARTS},
        "win_probability": made.probability,
        "traded": request.traded is not None and request.traded.fill.side == ours,
    }


def explain_rfq_tables(document: Document) -> RenderableType:
    """The same for a person."""
    asks = f"{document['rfq']} of {document['counterparty']}, {document['versions']} answers, {document['state']}"
    head = [Text(f"{document['size']:g} x  {document['package']}", style="bold"), Text(asks)]
    head += [Text(f"no answer: {reason}", style="yellow") for reason in document["why_not"]]
    sides = [document["bid"], document["ask"]]
    if document["fair"] is None:
        return Group(*head)
    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="dim")
    table.add_column("coin per package", no_wrap=True)
    for side in ("bid", "ask"):
        table.add_column(side, justify="right", no_wrap=True)

    def row(name: str, cells: list[float | None], style: str = "") -> None:
        table.add_row(name, *(formats.number(cell, 6) for cell in cells), style=style)

    def of(key: str) -> list[float | None]:
        return [None if side is None else side[key] for side in sides]

    row("price", of("price"), "bold")
    row("= fair value", [document["fair"]] * 2)
    row("∓ spread", of("spread"))
    for key in SPREAD_PARTS:
        parts = [None if side is None else side["spread_parts"][key] for side in sides]
        row(f"    {formats.words(key).lower()}", parts, "dim")
    row("∓ inventory", of("inventory"))
    table.add_row("win probability", *(formats.share(share) for share in of("win_probability")))
    return Group(*head, Text(f"answered at {document['answered']}, until {document['expires']}"), Text(), table)
