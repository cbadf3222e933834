"""Market-maker protection: a window that opens at a trade, limits on what fills within it, and a freeze beyond them."""

from dataclasses import dataclass, field

from flatbook.domain.units import NS_PER_SECOND

NEVER_NS = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MmpConfig:
    """Limits of one group on one index; a limit of 0 is none.

    interval_s      length of the window, 0 for no protection
    frozen_s        how long quotes are refused after a trigger; 0 until the account resets the group
    quantity_coin   contracts filled within a window
    delta_coin      |net delta| and `vega_usd` |net vega| per vol point, of what filled within a window
    max_quote_coin  contracts that may be quoted per side and instrument
    """

    interval_s: int = 0
    frozen_s: int = 0
    quantity_coin: float = 0.0
    delta_coin: float = 0.0
    vega_usd: float = 0.0
    max_quote_coin: float = 0.0


@dataclass(slots=True)
class MmpGroup:
    """A group's window and its freeze.

    Source      the venue's page: the window begins at the first trade after the last one ended
    """

    config: MmpConfig = field(default_factory=MmpConfig)
    frozen_until_ns: int = 0
    _opened_ns: int = -NEVER_NS
    _quantity_coin: float = 0.0
    _delta_coin: float = 0.0
    _vega_usd: float = 0.0

    def is_frozen(self, now_ns: int) -> bool:
        """Whether orders and quotes of the group are refused."""
        return now_ns < self.frozen_until_ns

    def filled(self, now_ns: int, quantity_coin: float, delta_coin: float, vega_usd: float) -> bool:
        """Counts a fill, signed as the book is; whether it triggers the freeze, which it does not while frozen."""
        config = self.config
        if not config.interval_s or self.is_frozen(now_ns):
            return False
        if now_ns >= self._opened_ns + config.interval_s * NS_PER_SECOND:
            self._opened_ns = now_ns
            self._quantity_coin = self._delta_coin = self._vega_usd = 0.0
        self._quantity_coin += abs(quantity_coin)
        self._delta_coin += delta_coin
        self._vega_usd += vega_usd
        counted = (
            (self._quantity_coin, config.quantity_coin),
            (abs(self._delta_coin), config.delta_coin),
            (abs(self._vega_usd), config.vega_usd),
        )
        # A float sum of tenths may fall a hair short of the limit that it is.
        if not any(limit and done >= limit * (1 - 1e-12) for done, limit in counted):
            return False
        self.frozen_until_ns = now_ns + config.frozen_s * NS_PER_SECOND if config.frozen_s else NEVER_NS
        return True

    def reset(self) -> None:
        """Ends the freeze, and the window with it."""
        self.frozen_until_ns = 0
        self._opened_ns = -NEVER_NS
