"""Deribit's subscription channels by name. Pure.

book.{instrument}.{interval}                        ticker.{instrument}.{interval}
book.{instrument}.{group}.{depth}.{interval}        trades.{instrument}.{interval}
quote.{instrument}   perpetual.{instrument}.{interval}   trades.{kind}.{currency}.{interval}
deribit_price_index.{index}   deribit_volatility_index.{index}   markprice.options.{index}
estimated_expiration_price.{index}   instrument.state.{kind}.{currency}   chart.trades.{instrument}.{resolution}
user.orders|trades|changes.{instrument}.{interval}      user.mmp_trigger.{index}
user.orders|trades|changes.{kind}.{currency}.{interval}  user.portfolio.{currency}
    block_rfq.maker|taker.{currency}
"""

import re
from typing import NamedTuple

_NAME = r"[A-Z0-9_]+(?:-[A-Za-z0-9_]+)*"
_INTERVAL = r"raw|100ms|agg2"
_KIND = r"any|option|future|spot|combo|option_combo|future_combo"
_CURRENCY = r"any|[A-Z]{3,5}"

_PATTERNS: dict[str, str] = {
    "grouped_book": rf"book\.(?P<instrument>{_NAME})\.(?P<group>none|[0-9]+(?:\.[0-9]+)?)\.(?P<depth>1|10|20)"
    r"\.(?P<interval>100ms|agg2)",
    "book": rf"book\.(?P<instrument>{_NAME})\.(?P<interval>{_INTERVAL})",
    "ticker": rf"(?:incremental_)?ticker\.(?P<instrument>{_NAME})(?:\.(?P<interval>{_INTERVAL}))?",
    "trades_of_kind": rf"trades\.(?P<kind>{_KIND})\.(?P<currency>{_CURRENCY})\.(?P<interval>{_INTERVAL})",
    "trades": rf"trades\.(?P<instrument>{_NAME})\.(?P<interval>{_INTERVAL})",
    "quote": rf"quote\.(?P<instrument>{_NAME})",
    "perpetual": rf"perpetual\.(?P<instrument>{_NAME})\.(?P<interval>{_INTERVAL})",
    "chart": rf"chart\.trades\.(?P<instrument>{_NAME})\.(?P<resolution>[1-9][0-9]*|1D)",
    "index": r"deribit_price_index\.(?P<index_name>[a-z]+_[a-z]+)",
    "volatility": r"deribit_volatility_index\.(?P<index_name>[a-z]+_[a-z]+)",
    "marks": r"markprice\.options\.(?P<index_name>[a-z]+_[a-z]+)",
    "expiration": r"estimated_expiration_price\.(?P<index_name>[a-z]+_[a-z]+)",
    "state": rf"instrument\.state\.(?P<kind>{_KIND})\.(?P<currency>{_CURRENCY})",
    "platform": r"platform_state(?:\.public_methods_state)?",
    "user_mmp": r"user\.mmp_trigger\.(?P<index_name>any|[a-z]+_[a-z]+)",
    "user_portfolio": rf"user\.portfolio\.(?P<currency>(?i:{_CURRENCY}))",
    "user_rfq": rf"block_rfq\.(?P<topic>maker|taker)\.(?P<currency>{_CURRENCY})",
    "user_of_kind": rf"user\.(?P<topic>orders|trades|changes)\.(?P<kind>{_KIND})\.(?P<currency>{_CURRENCY})"
    rf"\.(?P<interval>{_INTERVAL})",
    "user": rf"user\.(?P<topic>orders|trades|changes)\.(?P<instrument>{_NAME})\.(?P<interval>{_INTERVAL})",
}
_COMPILED = {kind: re.compile(pattern) for kind, pattern in _PATTERNS.items()}


class Channel(NamedTuple):
    """A channel: its full name, what sort it is, and the parts of its name, "" where it has none."""

    name: str
    sort: str
    instrument: str = ""
    kind: str = ""
    currency: str = ""
    index_name: str = ""
    interval: str = ""
    group: str = ""
    depth: str = ""
    topic: str = ""
    resolution: str = ""

    @property
    def is_private(self) -> bool:
        """Whether it is one account's."""
        return self.sort.startswith("user")


def parse_channel(name: str) -> Channel | None:
    """The channel of this name; None where the venue has none such."""
    for sort, pattern in _COMPILED.items():
        found = pattern.fullmatch(name)
        if found is not None:
            return Channel(name, sort, **{part: text for part, text in found.groupdict().items() if text})
    return None
