"""Every error flatbook raises on purpose, on one page.

The message is one line: what, where, which value, the remedy. `exit_code` is what the command line ends with.
"""


class FlatbookError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = 1


class BadInputError(FlatbookError):
    """A file, row or argument that cannot be used as it is."""

    exit_code = 2


class LimitBreachedError(FlatbookError):
    """A check or a limit does not hold."""

    exit_code = 3


class ConfigurationError(FlatbookError):
    """A policy or configuration that cannot be run."""

    exit_code = 4


class VenueUnreachableError(FlatbookError):
    """A venue did not answer in time."""

    exit_code = 5


class UnpricedError(BadInputError):
    """A position that its market does not price, or not yet: no smile, no forward, no index there."""


class UnknownInstrumentError(BadInputError):
    """A name that no venue convention explains."""


class UnbalancedEntryError(FlatbookError):
    """A ledger entry whose postings do not sum to zero in some currency."""


class ImpossibleTransitionError(FlatbookError):
    """An event that the order lifecycle does not allow in the order's state."""


class ReplayDivergedError(FlatbookError):
    """A replay whose outputs differ from the journal's digest."""
