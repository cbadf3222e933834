"""A priced request as one document, and as lines for a person."""

from __future__ import annotations

import math
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flatbook.app.rfq import PricedRequest
from flatbook.decide.rfq.implied import package_vol
from flatbook.decide.rfq.pricing import PackageQuote, Refusal, SideQuote
from flatbook.domain.units import NS_PER_SECOND, format_utc
from flatbook.report import formats

Document = dict[str, Any]

SPREAD_PARTS: Final = ("winners_curse", "fees", "hedge", "toxicity", "free_option", "markup")


def rfq_document(priced: PricedRequest) -> Document:
    """Everything; amounts in `unit` per package unless suffixed, parts as costs: a bid is fair less all of them."""
    request, answer = priced.request, priced.answer
    quote = answer if isinstance(answer, PackageQuote) else None
    expires_ns = priced.market.ts_ns + round(request.ttl_s * NS_PER_SECOND)
    return {
        "id": request.id or None,
        "counterparty": request.counterparty or None,
        "policy": priced.policy,
        "market": {
            "source": priced.found.source,
            "at": format_utc(priced.market.ts_ns),
            "underlying": priced.market.underlying,
            "index_usd": priced.market.index_usd,
        },
        "unit": priced.unit,
        "tick": priced.tick,
        "size": request.size,
        "legs": [{"instrument": leg.instrument, "ratio": leg.ratio} for leg in request.legs],
        "delta_leg": _delta_leg(priced),
        "fair": quote.value.fair if quote else None,
        "fair_usd": quote.value.fair * priced.found.markets.usd_per(priced.unit) if quote else None,
        "bid": _side(priced, quote, 1.0),
        "ask": _side(priced, quote, -1.0),
        "risk": _risk(quote) if quote else None,
        "typical_half_spread": quote.typical if quote else None,
        "ttl_s": request.ttl_s,
        "expires_at": format_utc(expires_ns) if quote else None,
        "refused": list(answer.reasons) if isinstance(answer, Refusal) else [],
        "notes": list(priced.notes),
    }


def _delta_leg(priced: PricedRequest) -> Document | None:
    leg = priced.delta_leg
    if leg is None:
        return None
    return {
        "instrument": leg.instrument.name,
        "size": leg.size,
        "price": None if math.isnan(leg.price) else leg.price,
        "at": "market" if math.isnan(leg.price) else "fixed price",
    }


def _side(priced: PricedRequest, quote: PackageQuote | None, sign: float) -> Document | None:
    side = None if quote is None else quote.bid if sign > 0.0 else quote.ask
    if quote is None or side is None:
        return None
    return {
        "price": side.price,
        "size": quote.size,
        "fair": quote.value.fair,
        "spread": side.spread,
        "inventory": side.inventory,
        "before_rounding": side.exact,
        "spread_parts": {name: getattr(side, name) for name in SPREAD_PARTS},
        "win_probability": side.probability,
        "expected_gain": side.gain,
        "implied_vol": _implied_vol(priced, side),
    }


def _implied_vol(priced: PricedRequest, side: SideQuote) -> float | None:
    """None where the package has more than one vega, or its price includes what a delta leg is off the market."""
    if priced.one_vega is None or (priced.delta_leg is not None and not math.isnan(priced.delta_leg.price)):
        return None
    pays_coin = priced.unit == priced.market.underlying
    usd = priced.one_vega.forward_usd if pays_coin else priced.found.markets.usd_per(priced.unit)
    vol = package_vol(priced.one_vega, side.price * usd)
    return None if math.isnan(vol) else vol


def _risk(quote: PackageQuote) -> Document:
    value = quote.value
    return {
        "delta_coin": value.delta_coin,
        "gamma_1pct_usd": value.gamma_1pct_usd,
        "vega_usd_per_vol_pt": value.vega_usd,
        "fair_error_usd": value.error_usd,
        "ttl_deviation": quote.ttl_deviation,
    }


def rfq_tables(document: Document) -> RenderableType:
    """The quote side by side, its three parts, and what the spread is made of."""
    market = document["market"]
    legs = "  ".join(f"{leg['ratio']:+d} {leg['instrument']}" for leg in document["legs"])
    head = [Text(f"{document['size']:g} x  {legs}", style="bold")]
    if (leg := document["delta_leg"]) is not None:
        head.append(Text(f"with {leg['size']:+,.10g} {leg['instrument']} at {leg['price'] or 'the market'}"))
    head.append(Text(f"{market['source']} at {market['at']}, index {formats.usd(market['index_usd'])}"))
    if document["refused"]:
        return Group(*head, *(Text(f"no quote: {reason}", style="red") for reason in document["refused"]))
    bid, ask = document["bid"], document["ask"]
    table = Table(box=None, pad_edge=False)
    table.add_column(f"{document['unit']} per package")
    for heading in ("bid", "ask"):
        table.add_column(heading, justify="right")

    def row(name: str, key: str, *, part: bool = False, style: str = "") -> None:
        cells = [None if one is None else one["spread_parts"][key] if part else one[key] for one in (bid, ask)]
        table.add_row(name, *(formats.number(cell, 6) for cell in cells), style=style)

    row("price", "price", style="bold")
    row("= fair value", "fair")
    row("∓ spread", "spread")
    for key in SPREAD_PARTS:
        row(f"    {formats.words(key).lower()}", key, part=True, style="dim")
    row("∓ inventory", "inventory")
    shares = [None if one is None else one["win_probability"] for one in (bid, ask)]
    table.add_row("win probability", *(formats.share(share) for share in shares))
    vols = [None if one is None else one["implied_vol"] for one in (bid, ask)]
    if any(vol is not None for vol in vols):
        table.add_row("implied vol", *(formats.share(vol, 2) for vol in vols))
    risk = document["risk"]
    tail = Text(
        f"delta {risk['delta_coin']:+.4f}, gamma {formats.usd(risk['gamma_1pct_usd'])} per 1 %, vega "
        f"{formats.usd(risk['vega_usd_per_vol_pt'])} a vol point, per package; stands until {document['expires_at']}"
    )
    return Group(*head, Text(), table, Text(), tail)
