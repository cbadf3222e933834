"""What takers know, as a charge on the spread: Bayesian, by bucket and side, and forgetful.

A maker's loss to a taker is minus the move of fair value after the trade, in units of depth. A bucket's mean loss is
normal about its tenor's, a tenor's about the whole's, the whole's about a belief; how far siblings differ is estimated
(DerSimonian and Laird's moments), the noise of a mean is what its blocks show, leaning on the parent's while they are
few. Our own fills come as one more child of the tape's prints: who picks us may be worse than who picks the others.

The charge is the posterior mean plus a multiple of its standard deviation, from 0 to a cap. Evidence fades by the
markouts' half-life, so that a charge widens where flow hurts and decays to the pool's where it does no more.

Source      R. DerSimonian, N. Laird (1986), "Meta-analysis in clinical trials"; shrunk markouts as reference
            microstructure §3
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from flatbook.domain.errors import ConfigurationError
from flatbook.market.flow.buckets import SIDES
from flatbook.market.flow.clusters import Samples
from flatbook.market.flow.markouts import UNITS, Markouts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class LossStatus(IntEnum):
    """What a posterior loss rests on."""

    FITTED = 0
    UNSEEN = 1
    TOO_FEW = 2


LOSS_REASONS = {
    LossStatus.FITTED: "own markouts, shrunk towards the pool",
    LossStatus.UNSEEN: "no markout of the bucket yet: the pool's",
    LossStatus.TOO_FEW: "too few blocks of markouts: almost the pool's",
}
"""Why, in words."""


@dataclass(frozen=True, slots=True)
class ToxicityModel:
    """What is believed of takers before any is followed, and how their knowledge is charged.

    horizon_s           the markouts' horizon by which takers are judged
    belief_loss, belief_sd   of the whole's mean loss, units of depth
    belief_noise        of the loss to a single taker, units: what a block's error leans on while blocks are few ...
    noise_blocks        ... as if this many blocks had shown it
    least_spread        siblings are taken to differ by this standard deviation at least, units
    deviations          standard deviations added to the mean
    cap                 the most that is charged, units
    least_blocks        with fewer blocks of its own, a bucket is said to have TOO_FEW
    """

    horizon_s: float = 60.0
    belief_loss: float = 0.2
    belief_sd: float = 0.2
    belief_noise: float = 1.0
    noise_blocks: float = 5.0
    least_spread: float = 0.1
    deviations: float = 0.5
    cap: float = 3.0
    least_blocks: float = 3.0

    def __post_init__(self) -> None:
        for name in ("horizon_s", "belief_sd", "belief_noise", "noise_blocks", "least_spread", "cap"):
            if not getattr(self, name) > 0:
                raise ConfigurationError(f"toxicity: {name} is {getattr(self, name):g}; use a number above 0")
        if self.deviations < 0:
            raise ConfigurationError(f"toxicity: {self.deviations:g} deviations would pay for doubt; use 0 or more")


@dataclass(frozen=True, slots=True)
class AdverseSelection:
    """Posterior mean loss to takers by bucket and side, and the charge for it, as of `now_ns`.

    Shapes      all (buckets, 2): takers who sell, takers who buy
    Units       loss, sd and charge in units of depth per contract; own_weight is the share of the bucket's own
                markouts; count discounted; age in seconds since its last markout, NaN before one
    """

    now_ns: int
    loss: Floats
    sd: Floats
    charge: Floats
    own_weight: Floats
    count: Floats
    age_s: Floats
    status: NDArray[np.int8]

    def charge_coin(self, bucket: Ints, unit_coin: Floats, side: int) -> Floats:
        """What a quote is widened by, in coin per contract: side 0 our bids, 1 our asks; 0 where there is no bucket.

        Shapes      bucket, unit_coin and the result (n,)
        """
        return np.where(bucket >= 0, self.charge[bucket, side] * unit_coin, 0.0)


def adverse_selection(
    markouts: Markouts, model: ToxicityModel, now_ns: int, prior: AdverseSelection | None = None
) -> AdverseSelection:
    """The posterior from markouts; with a `prior`, another's posterior, its buckets are the parents of these.

    Errors      ConfigurationError where the markouts have no horizon of `model.horizon_s`
    """
    horizons = markouts.model.horizons_s
    if model.horizon_s not in horizons:
        raise ConfigurationError(f"toxicity: no markout horizon of {model.horizon_s:g} s; use one of {horizons}")
    horizon = horizons.index(model.horizon_s)
    samples = markouts.samples(horizon, now_ns)
    shape = (markouts.buckets.count, SIDES)
    own = samples.of(markouts.nodes["bucket"], UNITS)
    noise = np.array([model.belief_noise**2])
    if prior is None:
        parent = (np.array([-model.belief_loss]), np.array([model.belief_sd]))
        parent, noise, _ = _child(parent, noise, samples.of(markouts.nodes["all"], UNITS), model, is_parent=True)
        parent, noise, _ = _child(parent, noise, samples.of(markouts.nodes["tenor"], UNITS), model)
    else:
        parent = (-prior.loss.ravel(), prior.sd.ravel())
    (move, sd), _, own_weight = _child(parent, noise, own, model)
    status = np.where(own.blocks < model.least_blocks, LossStatus.TOO_FEW, LossStatus.FITTED)
    status = np.where(own.worth > 0, status, LossStatus.UNSEEN).astype(np.int8)
    return AdverseSelection(
        now_ns=now_ns,
        loss=-move.reshape(shape),
        sd=sd.reshape(shape),
        charge=np.clip(-move + model.deviations * sd, 0.0, model.cap).reshape(shape),
        own_weight=own_weight.reshape(shape),
        count=own.worth.reshape(shape),
        age_s=markouts.age_s(horizon, now_ns)[markouts.nodes["bucket"]].reshape(shape),
        status=status.reshape(shape),
    )


def _child(
    parent: tuple[Floats, Floats], parent_noise: Floats, own: Samples, model: ToxicityModel, *, is_parent: bool = False
) -> tuple[tuple[Floats, Floats], Floats, Floats]:
    """Posterior mean and sd of each child, its noise, and the share of its own; or of the parent itself."""
    siblings = len(own.worth) // len(parent_noise)
    mean, sd = (np.repeat(column, len(own.worth) // len(column)) for column in parent)
    shown = np.where(np.isnan(own.noise), 0.0, own.blocks)
    leaning = np.repeat(parent_noise, siblings)
    noise = (model.noise_blocks * leaning + shown * np.nan_to_num(own.noise)) / (model.noise_blocks + shown)
    precision = own.worth / noise
    seen = np.where(own.worth > 0, own.mean, mean)
    if is_parent:
        lent = 1 / (1 + sd**2 * precision)
        deviation = np.sqrt(lent) * sd
    else:
        between = max(_between(seen - mean, precision, len(parent[0])), model.least_spread**2)
        lent = 1 / (1 + between * precision)
        deviation = np.hypot(np.sqrt(lent * between), lent * sd)
    return (lent * mean + (1 - lent) * seen, deviation), noise, 1 - lent


def _between(off: Floats, precision: Floats, parents: int) -> float:
    """Variance between siblings: what their spread about the parents leaves after their own noise.

    A parent of one child alone is another's posterior, and no mean of these: it takes no freedom.
    """
    total = precision.sum()
    taken = parents if parents < len(off) else 0
    free = np.count_nonzero(precision) - taken
    if free <= 0:
        return 0.0
    return float((precision @ off**2 - free) / (total - (precision @ precision / total if taken else 0.0)))
