"""What a user asks to be run: everything that decides the outcome, so that a journal's header can ask for it again."""

import json
from pathlib import Path

import msgspec

from flatbook.domain.errors import BadInputError
from flatbook.domain.units import NS_PER_HOUR
from flatbook.market.expiry_quotes import LEAST_VOL, MOST_VOL
from flatbook.sim.books.tape import BookTerms
from flatbook.sim.fills import FillModel

DEFAULT_VOL = 0.6
"""Annual: what a book is valued at where nobody quotes options."""


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A run. With a `session` it is recorded, from `from_ns` to `to_ns`; without, simulated for `hours` from `seed`.

    policy_text     the policy file as it was read, under the name or path `policy`
    capital_coin    collateral deposited at the start
    warm_up_hours   recorded: how long before `from_ns` the market is watched without quoting
    drill           the loss stop is taken through its stages once trading has begun
    book_text       the book that the run begins with as it was read, under the path `book`
    flat_vol        annual, a decimal: of all options, where the session holds order books alone
    hedge_session   another session, of order books, whose perpetual may hedge as well
    book_terms      how a recorded order book is believed to treat our orders
    heard_at        the address at which the market was heard while it happened; `session` is then its recording
    """

    policy: str
    policy_text: str
    session: str | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    seed: int = 1
    hours: float = 24.0
    underlying: str = "BTC"
    fill_model: FillModel = FillModel.QUEUE
    capital_coin: float = 100.0
    warm_up_hours: float = 48.0
    book: str | None = None
    book_text: str | None = None
    drill: bool = False
    heard_at: str | None = None
    hedge_session: str | None = None
    flat_vol: float = DEFAULT_VOL
    book_terms: BookTerms = BookTerms(is_partial=True)

    def __post_init__(self) -> None:
        if self.session is None and (self.from_ns is not None or self.to_ns is not None):
            raise BadInputError("--from and --to choose a part of a recorded session; give --session, or use --hours")
        if self.from_ns is not None and self.to_ns is not None and self.from_ns >= self.to_ns:
            raise BadInputError("--from is not before --to; swap them")
        if not LEAST_VOL < self.flat_vol < MOST_VOL:
            raise BadInputError(f"--vol {self.flat_vol:g}: a vol is a decimal between {LEAST_VOL:g} and {MOST_VOL:g}")

    def to_json(self) -> str:
        """As text, for a journal's header."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> "RunRequest":
        """The request that a journal's header holds.

        Errors      BadInputError where it is of a live run
        """
        held = json.loads(text)
        if "url" in held:
            raise BadInputError(
                f"this run is of the account at {held['url']}; flatbook live --live --resume goes on with it"
            )
        return msgspec.convert(held, cls)

    @property
    def session_path(self) -> Path | None:
        """Where the recorded session is."""
        return Path(self.session) if self.session is not None else None

    @property
    def warm_up_ns(self) -> int:
        """The warm-up in nanoseconds."""
        return round(self.warm_up_hours * NS_PER_HOUR)
