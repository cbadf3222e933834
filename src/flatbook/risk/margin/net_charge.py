"""Charges on nets: what a strike's or an expiry's contracts come to together, by the side that is on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NetCharge:
    """A charge on the net of each group of rows, by the side it is on.

    group       (n,) number of each row's group; weight (n,) what a unit of it adds to the net
    long, short (2, g) USD a unit of net, initial and maintenance
    steep       (2,) USD a unit of net for each unit beyond `free`: large positions cost more a unit
    """

    name: str
    group: Ints
    weight: Floats
    long: Floats
    short: Floats
    steep: Floats = field(default_factory=lambda: np.zeros(2))
    free: float = 0.0

    @cached_property
    def _by_group(self) -> tuple[Ints, Ints, Ints]:
        """Rows in order of their group, where each group begins in that order, and which groups there are."""
        order = np.argsort(self.group, kind="stable")
        starts = np.flatnonzero(np.diff(self.group[order], prepend=-1))
        return order, starts, self.group[order][starts]

    def nets(self, size: Floats) -> Floats:
        """Net of each group, (..., g), of sizes (..., n)."""
        order, starts, groups = self._by_group
        nets = np.zeros((*size.shape[:-1], self.long.shape[1]))
        if len(order):
            nets[..., groups] = np.add.reduceat((size * self.weight)[..., order], starts, axis=-1)
        return nets

    def each(self, nets: Floats, groups: Ints | slice = slice(None)) -> Floats:
        """The charge on each net, (2, ..., g) of nets (..., g): initial and maintenance."""
        by_group = (2,) + (1,) * (nets.ndim - 1) + (-1,)
        amount = np.abs(nets)
        long, short = self.long[:, groups].reshape(by_group), self.short[:, groups].reshape(by_group)
        steep = self.steep.reshape((2,) + (1,) * nets.ndim)
        return np.asarray(amount * (np.where(nets >= 0.0, long, short) + steep * np.maximum(amount - self.free, 0.0)))

    def of(self, net: float, group: int) -> tuple[float, float]:
        """`each` of one group's net: numpy's own cost would be ten times that of the arithmetic."""
        amount, rates = abs(net), self.long if net >= 0.0 else self.short
        excess = max(amount - self.free, 0.0)
        initial, maintenance = (amount * (rates[side, group] + self.steep[side] * excess) for side in (0, 1))
        return initial, maintenance

    def of_accounts(self, accounts: csr_array) -> Floats:
        """The charge of each account, (2, a), of sizes (a, n) of which few are not nothing."""
        from scipy.sparse import csr_array  # loaded for many accounts alone: a run has one

        rows = len(self.group)
        weights = (self.weight, (np.arange(rows), self.group))
        nets = csr_array(accounts @ csr_array(weights, shape=(rows, self.long.shape[1])))
        account = np.repeat(np.arange(nets.shape[0]), np.diff(nets.indptr))
        each = self.each(nets.data, nets.indices.astype(np.int64))
        return np.stack([np.bincount(account, side, minlength=nets.shape[0]) for side in each])
