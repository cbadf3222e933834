"""Deribit's rate limits: pools of credits that fill with time, and what each request costs. Pure."""

import math
import tomllib
from dataclasses import dataclass, field, replace
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

    def share(self, part: float) -> "Limits":
        """The limits of one who uses this part of them: the rest is for what bunches on the way."""
        pools = [
            replace(terms, most=terms.most * part, per_s=terms.per_s * part) for terms in (self.requests, self.matching)
        ]
        return replace(self, requests=pools[0], matching=pools[1])


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

    def ready_ns(self, cost: float) -> int:
        """The first moment at which the pool, as it was last asked, holds the cost."""
        lacking = max(min(cost, self.terms.most) - self.held, 0.0)
        return self.filled_ns + math.ceil(lacking / self.terms.per_s * NS_PER_SECOND)


@dataclass(slots=True)
class Credits:
    """The pools of one account, or of one connection that names none."""

    limits: Limits = field(default_factory=load_limits)
    _pools: dict[str, Pool] = field(default_factory=dict)

    def spend(self, now_ns: int, method: str) -> bool:
        """Whether the method may be called now; if so it is paid for."""
        return self._pool(now_ns, method).spend(now_ns, self._cost(method))

    def ready_ns(self, now_ns: int, method: str) -> int:
        """When the method may be called, if nothing else is before."""
        return max(self._pool(now_ns, method).ready_ns(self._cost(method)), now_ns)

    def drain(self, now_ns: int) -> None:
        """The venue says that too much was asked: its pools are empty, whatever was thought of them."""
        for method in ("private/buy", "public/test"):
            pool = self._pool(now_ns, method)
            pool.held, pool.filled_ns = 0.0, now_ns

    def _terms(self, method: str) -> PoolTerms:
        return self.limits.matching if method in MATCHING else self.limits.requests

    def _pool(self, now_ns: int, method: str) -> Pool:
        terms = self._terms(method)
        return self._pools.setdefault("matching" if method in MATCHING else "requests", Pool(terms, terms.most, now_ns))

    def _cost(self, method: str) -> float:
        return self.limits.costs.get(method, self._terms(method).cost)
