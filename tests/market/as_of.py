"""Another future: the same events up to a moment, and from there on everything different."""

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from flatbook.domain.events import AnyEvent, ChainQuotes, Delivery, IndexTick, QuoteRow, TopOfBook, TradePrint


def another_future(events: Sequence[AnyEvent], after_ns: int, seed: int = 0) -> list[AnyEvent]:
    """`events` up to `after_ns` as they are; of the later ones a third is lost, and no price or vol is what it was."""
    rng = np.random.default_rng(seed)
    kept = [event for event in events if event.local_ts_ns <= after_ns]
    later = [event for event in events if event.local_ts_ns > after_ns and rng.random() > 1 / 3]
    return kept + [_altered(event, rng) for event in later]


def _altered(event: AnyEvent, rng: np.random.Generator) -> AnyEvent:
    factor = float(np.exp(0.3 * rng.normal()))
    match event:
        case IndexTick() | Delivery():
            return msgspec.structs.replace(event, price_usd=event.price_usd * factor)
        case TopOfBook():
            return msgspec.structs.replace(
                event, bid=event.bid * factor, ask=event.ask * factor, mark_price=event.mark_price * factor
            )
        case TradePrint():
            return msgspec.structs.replace(
                event,
                price=event.price * factor,
                mark_price=event.mark_price * factor,
                iv=event.iv * factor,
                size_lots=event.size_lots + 1,
                taker_side=-event.taker_side,
            )
        case ChainQuotes():
            return msgspec.structs.replace(event, rows=tuple(_altered_rows(event.rows, factor)))
    return event


def _altered_rows(rows: Iterable[QuoteRow], factor: float) -> Iterable[QuoteRow]:
    for row in rows:
        yield QuoteRow(
            row.instrument,
            row.bid / factor,
            row.ask * factor,
            row.bid_iv * factor,
            row.ask_iv * factor,
            row.mark_iv * factor,
            row.forward_usd * factor,
        )
