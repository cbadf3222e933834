"""Who trades what: the proportions of takers by tenor, moneyness, right, side and size, as measured on a tape."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FlowTable:
    """Proportions of option trades.

    Shapes      `weight` (sums to one), `call_share`, `buy_share`: (tenor buckets, moneyness buckets); `size_lots`:
                (size groups, probabilities), a quantile function of trade size for each; `size_group`: (tenor buckets,)
    Units       tenor in days to expiry; moneyness is ln(strike / forward) over vol times the root of the years
    Domain      a bucket holds its lower edge and not its upper one; the outer buckets are open
    """

    tenor_edges: Floats
    moneyness_edges: Floats
    weight: Floats
    call_share: Floats
    buy_share: Floats
    size_group: Ints
    size_probability: Floats
    size_lots: Floats

    @property
    def tenor_buckets(self) -> int:
        """How many tenor buckets there are."""
        return self.tenor_edges.size + 1

    @property
    def moneyness_buckets(self) -> int:
        """How many moneyness buckets there are."""
        return self.moneyness_edges.size + 1

    def tenor_bucket(self, days: Floats) -> Ints:
        """The tenor bucket of each of `days` to expiry."""
        return np.searchsorted(self.tenor_edges, days, side="right")

    def moneyness_bucket(self, moneyness: Floats) -> Ints:
        """The moneyness bucket of each."""
        return np.searchsorted(self.moneyness_edges, moneyness, side="right")

    def lots(self, tenor_bucket: Ints, probability: Floats) -> Ints:
        """Trade sizes in lots at quantiles `probability`, by tenor bucket."""
        lots = np.empty(probability.size)
        for group, quantiles in enumerate(self.size_lots):
            of_group = self.size_group[tenor_bucket] == group
            lots[of_group] = np.interp(probability[of_group], self.size_probability, quantiles)
        return np.maximum(np.round(lots).astype(np.int64), 1)


@cache
def load_flow_table() -> FlowTable:
    """The proportions of `flow.toml`."""
    raw = tomllib.loads(resources.files(__package__).joinpath("flow.toml").read_text(encoding="utf-8"))
    trades = np.array(raw["trades_per_10000"], dtype=np.float64)
    return FlowTable(
        tenor_edges=np.array(raw["tenor_edges_days"], dtype=np.float64),
        moneyness_edges=np.array(raw["moneyness_edges"], dtype=np.float64),
        weight=trades / trades.sum(),
        call_share=np.array(raw["calls_percent"], dtype=np.float64) / 100,
        buy_share=np.array(raw["buys_percent"], dtype=np.float64) / 100,
        size_group=np.array(raw["size_group_of_tenor"], dtype=np.int64),
        size_probability=np.array(raw["size_probability"], dtype=np.float64),
        size_lots=np.array(raw["size_lots"], dtype=np.float64),
    )
