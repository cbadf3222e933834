"""Deribit's history over HTTP: every trade and every hour of funding of a span, page by page, the oldest first.

A page that does not come is asked for again, later each time; so is one for which there were too many requests. What
the venue refuses otherwise ends it: a hole in a history is not seen afterwards.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
import msgspec

from flatbook.domain.errors import BadInputError, VenueUnreachableError
from flatbook.venues.deribit.client import checked_address
from flatbook.venues.deribit.codec import Answer, Codec
from flatbook.venues.deribit.codec_messages import Trade, Wire
from flatbook.venues.deribit.rpc import Code

PATH = "/api/v2/"
_MOST_ROWS = 1_000
_FUNDING_MS = 30 * 86_400_000
"""Hours of funding are asked for by so much: the venue gives about a thousand at most."""
_TRIES, _FIRST_WAIT_S, _TIMEOUT_S = 6, 0.5, 30.0
_TOO_MANY = Code.TOO_MANY_REQUESTS.value[0]

T = TypeVar("T")


class TapePage(Wire, frozen=True, gc=False):
    """A page of `public/get_last_trades_by_currency_and_time`."""

    trades: list[Trade]
    has_more: bool


class FundingHour(Wire, frozen=True, gc=False):
    """A row of `public/get_funding_rate_history`: what longs paid in the hour that ended at `timestamp`, a share."""

    timestamp: int
    interest_1h: float
    interest_8h: float
    index_price: float
    prev_index_price: float


def history_url(url: str) -> str:
    """The address of the venue's API over HTTP, without its path.

    Errors      BadInputError for what is none, and for an unencrypted one that is not on this machine
    """
    parts = checked_address(url, "http", "address of an API", "https://history.deribit.com")
    return f"{parts.scheme}://{parts.netloc}"


class History:
    """The venue at `url`. `codec` counts fields that nobody knows; `wait` sleeps so many seconds."""

    def __init__(
        self,
        url: str,
        wait: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url, self.codec = history_url(url), Codec()
        self._wait = wait
        self._http = httpx.Client(base_url=self.url + PATH, timeout=_TIMEOUT_S, transport=transport)

    def close(self) -> None:
        """Hangs up."""
        self._http.close()

    def trades(self, currency: str, kind: str, from_ms: int, to_ms: int) -> Iterator[Trade]:
        """Trades of a currency's instruments of a kind from `from_ms` up to and with `to_ms`, each once.

        A page begins in the millisecond in which the one before ended: trades of one moment may be on both.

        Errors      VenueUnreachableError; BadInputError where the venue refuses, or a page is of another form
        """
        seen: set[str] = set()
        while True:
            params = {
                "currency": currency, "kind": kind, "start_timestamp": from_ms, "end_timestamp": to_ms,
                "count": _MOST_ROWS, "sorting": "asc",
            }  # fmt: skip
            page = self._ask("public/get_last_trades_by_currency_and_time", params, TapePage)
            new = [trade for trade in page.trades if trade.trade_id not in seen]
            yield from new
            if not page.has_more:
                return
            if not new:
                raise BadInputError(
                    f"{self.url}: more than {_MOST_ROWS} trades of {currency} {kind} in the millisecond {from_ms}; "
                    "the API has no way to the rest of them"
                )
            from_ms = page.trades[-1].timestamp
            seen = {trade.trade_id for trade in page.trades if trade.timestamp == from_ms}

    def funding(self, instrument: str, from_ms: int, to_ms: int) -> Iterator[FundingHour]:
        """Hours of a perpetual's funding that ended from `from_ms` on, before `to_ms`.

        Errors      as of `trades`
        """
        for start in range(from_ms, to_ms, _FUNDING_MS):
            end = min(start + _FUNDING_MS, to_ms)
            params = {"instrument_name": instrument, "start_timestamp": start, "end_timestamp": end - 1}
            hours = self._ask("public/get_funding_rate_history", params, list[FundingHour])
            yield from sorted(hours, key=lambda hour: hour.timestamp)

    def _ask(self, method: str, params: dict[str, Any], kind: type[T]) -> T:
        problem = ""
        for attempt in range(_TRIES):
            if attempt:
                self._wait(_FIRST_WAIT_S * 2**attempt)
            try:
                answer = self._answer(method, params)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__} {error}".strip()
                continue
            if answer is None:
                problem = "no answer in JSON"
                continue
            if answer.error is None:
                return self.codec.result(answer, kind, method)
            if answer.error.code != _TOO_MANY:
                raise BadInputError(f"{self.url}: {method} is refused: {answer.error.describe()}")
            problem = answer.error.describe()
        raise VenueUnreachableError(f"{self.url}: {method} failed {_TRIES} times: {problem}")

    def _answer(self, method: str, params: dict[str, Any]) -> Answer | None:
        """What came; None for a page of a server between, which is no answer of the venue's."""
        body = self._http.get(method, params=params).content
        try:
            return msgspec.json.decode(body, type=Answer)
        except msgspec.DecodeError:
            return None
