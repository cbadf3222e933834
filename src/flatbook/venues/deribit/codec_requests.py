"""What is asked of Deribit, typed, and as bytes. Pure.

Prices are in quote currency (coin for inverse options), amounts in USD for inverse futures, else in coins. A parameter
left at its default is not sent: the venue's own default holds.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

import msgspec

from flatbook.domain.errors import BadInputError
from flatbook.venues.deribit.rpc import Request

MOST_CHANNELS = 250
"""The venue ends a connection that names too many at once ("request entity too large"); half its stated limit."""

_ENCODER = msgspec.json.Encoder()


class Params(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of parameters."""

    def sent(self) -> dict[str, Any]:
        """As they are sent."""
        table: dict[str, Any] = msgspec.to_builtins(self)
        return table


class PlaceOrder(Params, frozen=True, kw_only=True, omit_defaults=True):
    """`private/buy` and `private/sell`. The label finds the order again when its answer is lost."""

    instrument_name: str
    amount: float
    price: float | None = None
    label: str = ""
    type: str = "limit"
    time_in_force: str = "good_til_cancelled"
    post_only: bool = False
    reject_post_only: bool = False
    reduce_only: bool = False
    mmp: bool = False


class EditOrder(Params, frozen=True, kw_only=True, omit_defaults=True):
    """`private/edit`."""

    order_id: str
    amount: float | None = None
    price: float | None = None
    post_only: bool = False


class QuoteSide(Params, frozen=True, omit_defaults=True):
    """One side of a quote; an amount of 0 takes it away."""

    price: float
    amount: float


class QuoteEntry(Params, frozen=True, kw_only=True, omit_defaults=True):
    """Both sides of one instrument in a mass quote; a side that is None stays as it is."""

    instrument_name: str
    bid: QuoteSide | None = None
    ask: QuoteSide | None = None
    quote_set_id: str = "default"
    post_only: bool = False
    reject_post_only: bool = False


class MassQuote(Params, frozen=True, kw_only=True):
    """`private/mass_quote`: the quotes of one MMP group."""

    quote_id: str
    mmp_group: str
    quotes: tuple[QuoteEntry, ...]
    detailed: bool = True


class MmpConfig(Params, frozen=True, kw_only=True, omit_defaults=True):
    """`private/set_mmp_config`: after fills above a limit within `interval` s, quotes are pulled for `frozen_time` s.

    A `frozen_time` of 0 waits for a reset; an `interval` of 0 takes the protection away. Limits are in coins, the vega
    limit in USD a vol point; 0 is no limit.
    """

    index_name: str
    interval: int
    frozen_time: int
    mmp_group: str = ""
    quantity_limit: float = 0.0
    delta_limit: float = 0.0
    vega_limit: float = 0.0
    max_quote_quantity: float = 0.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key of the venue's. The secret is never shown, and never sent: it signs."""

    client_id: str
    secret: str = field(repr=False)

    def signed_in(self, now_ms: int, nonce: str) -> dict[str, Any]:
        """Parameters of `public/auth` at this time; a nonce is used once."""
        message = f"{now_ms}\n{nonce}\n".encode()
        return {
            "grant_type": "client_signature",
            "client_id": self.client_id,
            "timestamp": now_ms,
            "nonce": nonce,
            "data": "",
            "signature": hmac.new(self.secret.encode(), message, hashlib.sha256).hexdigest(),
        }


def encode_request(request_id: int, method: str, params: dict[str, Any]) -> bytes:
    """A request's bytes."""
    return _ENCODER.encode(Request(method, params, request_id))


def place_order(side: int, order: PlaceOrder) -> tuple[str, dict[str, Any]]:
    """The method and parameters that buy (`side` +1) or sell (-1).

    Errors      BadInputError for another side, or an order without a label
    """
    if side not in (-1, 1):
        raise BadInputError(f"order for {order.instrument_name}: side {side}; use +1 to buy, -1 to sell")
    if not order.label:
        raise BadInputError(
            f"order for {order.instrument_name} has no label: it could not be found if its answer is lost"
        )
    return ("private/buy" if side > 0 else "private/sell"), order.sent()


def subscriptions(channels: list[str], is_private: bool) -> list[tuple[str, dict[str, Any]]]:
    """Requests that subscribe to all of these, in batches, each channel once, in their order."""
    method = "private/subscribe" if is_private else "public/subscribe"
    names = list(dict.fromkeys(channels))
    parts = [names[start : start + MOST_CHANNELS] for start in range(0, len(names), MOST_CHANNELS)]
    return [(method, {"channels": part}) for part in parts]
