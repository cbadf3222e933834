"""One step of a scalar Kalman filter that does not believe everything it is shown."""

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Gate:
    """When an observation is refused, and when refusals prove the filter wrong instead.

    deviations      an observation farther than this many standard deviations of its expectation is refused ...
    reopen_after    ... until this many in a row on one side ask for it
    """

    deviations: float = 5.0
    reopen_after: int = 5


class Step(NamedTuple):
    """The state after an observation; `refused` counts refusals in a row, signed by their side."""

    mean: float
    variance: float
    refused: int
    accepted: bool


def observe(gate: Gate, mean: float, variance: float, refused: int, seen: float, noise_variance: float) -> Step:
    """Corrects a belief by what was seen of it, unless that is too far out.

    Domain      variances positive
    """
    surprise = seen - mean
    if surprise * surprise > gate.deviations**2 * (variance + noise_variance):
        side = 1 if surprise > 0 else -1
        refused = refused + side if refused * side >= 0 else side
        if abs(refused) < gate.reopen_after:
            return Step(mean, variance, refused, accepted=False)
        variance = surprise * surprise
    gain = variance / (variance + noise_variance)
    return Step(mean + gain * surprise, (1 - gain) * variance, 0, accepted=True)
