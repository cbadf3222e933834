"""ccxt's exceptions as ours, and whether what failed may have been done all the same. Pure.

They are known by the names in their line of descent, so that nothing here needs the library.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from flatbook.domain.errors import (
    BadInputError,
    ConfigurationError,
    FlatbookError,
    LimitBreachedError,
    VenueUnreachableError,
)


class Verdict(NamedTuple):
    """Our error, and whether the outcome of a request that changes orders is unknown after it."""

    error: type[FlatbookError]
    is_unknown: bool


_VERDICTS: Final = {
    "RateLimitExceeded": Verdict(VenueUnreachableError, False),
    "InvalidNonce": Verdict(ConfigurationError, False),
    "ChecksumError": Verdict(VenueUnreachableError, True),
    "OperationFailed": Verdict(VenueUnreachableError, True),
    "AuthenticationError": Verdict(ConfigurationError, False),
    "InsufficientFunds": Verdict(LimitBreachedError, False),
    # An order with our id is there: a request that was given up for lost has come through.
    "DuplicateOrderId": Verdict(BadInputError, True),
    "InvalidOrder": Verdict(BadInputError, False),
    "ArgumentsRequired": Verdict(BadInputError, False),
    "BadRequest": Verdict(BadInputError, False),
    "OperationRejected": Verdict(BadInputError, False),
    "NotSupported": Verdict(BadInputError, False),
    "InvalidProxySettings": Verdict(ConfigurationError, False),
    "InvalidAddress": Verdict(BadInputError, False),
    # The library's word for an answer that broke off, and for codes that it does not know.
    "BaseError": Verdict(VenueUnreachableError, True),
}
"""By the nearest ancestor; `OperationFailed` covers time-outs, lost connections, maintenance and unreadable answers."""


def verdict(error: BaseException) -> Verdict:
    """What an exception of the library means."""
    for ancestor in type(error).__mro__:
        found = _VERDICTS.get(ancestor.__name__)
        if found is not None:
            return found
    return _VERDICTS["BaseError"]


def our_error(error: BaseException, venue: str) -> FlatbookError:
    """The same in one line, without what a request was signed with."""
    text = " ".join(str(error).split()).partition("?")[0] or "no reason given"
    return verdict(error).error(f"{venue}: {type(error).__name__}: {text[:300]}")
