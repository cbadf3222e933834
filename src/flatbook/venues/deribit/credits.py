"""Deribit's rate limits: pools of credits that fill with time, and what each request costs. Pure."""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from flatbook.domain.units import NS_PER_SECOND

MATCHING = frozenset(
    f"private/{name}"
    for name in (
        "buy", "sell", "edit", "edit_by_label", "cancel", "cancel_by_label", "cancel_all", "cancel_all_by_instrument",
        "cancel_all_by_currency", "cancel_all_by_kind_or_type", "cancel_quotes", "mass_quote", "close_position",
    )
)  # fmt: skip
"""Methods that go to the matching engine."""


@dataclass(frozen=True, slots=True)
class PoolTerms:
    """A pool holds up to `most`, and gains `per_s`."""

    most: float
    per_s: float
    cost: float


@dataclass(frozen=True)
class Limits:
    """The limits of one edition; `costs` are the methods that cost other than the pool says."""

    requests: PoolTerms
    matching: PoolTerms
    costs: dict[str, float]
    most_channels: int


@cache
def load_limits() -> Limits:
    """The limits of `limits.toml`."""
    raw = tomllib.loads(resources.files(__package__).joinpath("limits.toml").read_text(encoding="utf-8"))
    return Limits(
        PoolTerms(**raw["requests"]),
        PoolTerms(**raw["matching"]),
        raw["costs"],
        raw["subscriptions"]["most_channels_per_request"],
    )


@dataclass(slots=True)
class Pool:
    """A pool's content.

    Invariant   any span of t seconds pays for at most `most` + t x `per_s`
    """

    terms: PoolTerms
    held: float
    filled_ns: int

    def spend(self, now_ns: int, cost: float) -> bool:
        """Takes the cost where the pool holds it; whether it did."""
        terms = self.terms
        elapsed_s = max(now_ns - self.filled_ns, 0) / NS_PER_SECOND
        self.held, self.filled_ns = min(self.held + terms.per_s * elapsed_s, terms.most), now_ns
        if self.held < cost:
            return False
        self.held -= cost
        return True


@dataclass(slots=True)
class Credits:
    """The pools of one account, or of one connection that names none."""

    limits: Limits = field(default_factory=load_limits)
    _pools: dict[str, Pool] = field(default_factory=dict)

    def spend(self, now_ns: int, method: str) -> bool:
        """Whether the method may be called now; if so it is paid for."""
        limits = self.limits
        name, terms = ("matching", limits.matching) if method in MATCHING else ("requests", limits.requests)
        pool = self._pools.setdefault(name, Pool(terms, terms.most, now_ns))
        return pool.spend(now_ns, limits.costs.get(method, terms.cost))
