"""What to move between venues so that each keeps its margin use at or under a target, at the least cost.

A mixed-integer programme, small: of each venue, other venue and currency how much is sent, and whether anything is. A
network takes its fee a transfer, and a venue lets nothing out under a minimum, so the one is 0 or at least the other.

    minimise    fees + `per_usd_moved` times what is moved
    so that     maintenance <= the venue's share of its margin balance then, and initial <= the initial balance then,
                at every venue, collateral counted less the venue's haircuts; nobody sends what he does not hold

What cannot be met is found first: the least total of collateral that is short, in dollars as they count, then the least
cost at which no more than that is short. A venue that is short sends nothing that counts there, and one that is not is
not brought there, though its money counted for more elsewhere. Nothing is moved here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from flatbook.domain.errors import BadInputError, FlatbookError
from flatbook.domain.units import DECIMALS, exact_units, units_per_coin
from flatbook.risk.margin.account import usage

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SLACK: Final = 3e-6
"""Of the largest requirement, by which who is short gets more than he needs: more than the solver rounds by."""

_TIE: Final = 1e-3


@dataclass(frozen=True)
class Purse:
    """One venue as the programme sees it, USD; balances are less haircuts.

    most_use    share of the margin balance that maintenance is to take at most
    units       held of each currency, its smallest units; what is owed is negative
    haircuts    initial and maintenance of each currency that the venue takes: what it does not take is not here
    """

    venue: str
    initial: float
    maintenance: float
    initial_balance: float
    balance: float
    most_use: float
    units: Mapping[str, int]
    haircuts: Mapping[str, tuple[float, float]]

    def __post_init__(self) -> None:
        if not 0.0 < self.most_use < math.inf:
            raise BadInputError(f"{self.venue}: a margin use of {self.most_use:g} is no bound; give one above 0")

    @property
    def needs(self) -> tuple[float, float]:
        """Initial and maintenance balance that it is to have."""
        return self.initial, self.maintenance / self.most_use

    @property
    def short(self) -> float:
        """Collateral that is missing, as it counts; 0 where none is."""
        return max(self.needs[1] - self.balance, self.needs[0] - self.initial_balance, 0.0)


@dataclass(frozen=True)
class TransferTerms:
    """What moving costs: by currency, or by sending venue and currency where one differs, amounts in the currency.

    fee             a transfer's, from what is sent; `least` the smallest that is sent
    accepts         currencies that a venue takes in and lets out; under "" those of any other
    per_usd_moved   what a dollar is worth while it is under way and serves nowhere
    """

    fee: Mapping[str, Decimal]
    least: Mapping[str, Decimal]
    accepts: Mapping[str, frozenset[str]]
    per_usd_moved: float = 0.001
    fee_of: Mapping[tuple[str, str], Decimal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for currency in self.fee.keys() | {currency for _, currency in self.fee_of}:
            if currency not in DECIMALS:
                raise BadInputError(
                    f"transfer terms: currency {currency!r} is not known; use one of {', '.join(DECIMALS)}"
                )
        amounts = (*self.fee.values(), *self.least.values(), *self.fee_of.values())
        if not self.per_usd_moved > 0.0 or any(amount < 0 for amount in amounts):
            raise BadInputError("transfer terms: a fee or minimum is below 0, or per_usd_moved not above it; mend them")

    def taken_by(self, venue: str) -> frozenset[str]:
        """Currencies that can be sent to it and from it."""
        return self.accepts.get(venue, self.accepts.get("", frozenset()))

    def fee_units(self, venue: str, currency: str) -> int:
        """The fee of a transfer out of a venue."""
        return exact_units(self.fee_of.get((venue, currency), self.fee[currency]), currency)


class Transfer(NamedTuple):
    """So many smallest units of a currency leave one venue; the fee is taken on the way."""

    sender: str
    receiver: str
    currency: str
    sent_units: int
    fee_units: int

    @property
    def received_units(self) -> int:
        """What arrives."""
        return self.sent_units - self.fee_units


@dataclass(frozen=True)
class Plan:
    """Transfers in the order of senders, and what is short at each venue in spite of them, USD as collateral counts."""

    transfers: tuple[Transfer, ...]
    short_usd: Mapping[str, float]


def changes(transfers: Sequence[Transfer], venue: str) -> dict[str, int]:
    """What transfers change in a venue's units, by currency."""
    found: dict[str, int] = {}
    for one in transfers:
        moved = one.received_units * (one.receiver == venue) - one.sent_units * (one.sender == venue)
        if venue in (one.sender, one.receiver):
            found[one.currency] = found.get(one.currency, 0) + moved
    return found


class _Lane(NamedTuple):
    """A way that money can go; dollars of what is held, of the fee and of the least."""

    sender: int
    receiver: int
    currency: str
    held_usd: float
    fee_usd: float
    least_usd: float


def plan_transfers(purses: Sequence[Purse], terms: TransferTerms, usd_per: Mapping[str, float]) -> Plan:
    """The cheapest transfers that bring every venue within its bounds, or as near as money can."""
    lanes = _lanes(purses, terms, usd_per)
    short = {purse.venue: purse.short for purse in purses}
    if not any(short.values()) or not lanes:
        return Plan((), {venue: usd for venue, usd in short.items() if usd > 0.0})
    solved = _solve(purses, lanes, terms.per_usd_moved)
    transfers = _rounded(purses, lanes, terms, usd_per, solved[: len(lanes)], solved[len(lanes) : 2 * len(lanes)])
    left = solved[2 * len(lanes) :]
    seen = 10.0 * _SLACK * _scale(purses)
    missing = {purse.venue: float(usd) for purse, usd in zip(purses, left, strict=True) if usd > seen}
    return Plan(transfers, missing)


def _lanes(purses: Sequence[Purse], terms: TransferTerms, usd_per: Mapping[str, float]) -> list[_Lane]:
    found = []
    for i, sender in enumerate(purses):
        for currency, held in sorted(sender.units.items()):
            if held <= 0 or currency not in terms.fee or currency not in terms.taken_by(sender.venue):
                continue
            counts = sender.haircuts.get(currency, (1.0, 1.0)) != (1.0, 1.0)
            if counts and sender.short > 0.0:
                continue
            unit_usd = usd_per[currency] / units_per_coin(currency)
            fee = terms.fee_units(sender.venue, currency) * unit_usd
            least = max(float(terms.least.get(currency, Decimal(0))) * usd_per[currency], fee)
            found += [
                _Lane(i, j, currency, held * unit_usd, fee, least)
                for j, receiver in enumerate(purses)
                if j != i and currency in terms.taken_by(receiver.venue) and held * unit_usd >= least
            ]
    return found


def _scale(purses: Sequence[Purse]) -> float:
    """Dollars that the programme counts as one."""
    return max(1.0, *(max(purse.needs) for purse in purses))


def _solve(purses: Sequence[Purse], lanes: Sequence[_Lane], per_usd_moved: float) -> Floats:
    """Dollars sent and whether anything is, by lane, then dollars short by venue."""
    scale = _scale(purses)
    count, venues = len(lanes), len(purses)
    constraints = [_bounds_of_lanes(lanes, venues, scale), _what_is_held(lanes, venues, scale)]
    constraints += _what_is_needed(purses, lanes, scale)
    most_short = [np.inf if purse.short > 0.0 else 0.0 for purse in purses]
    bounds = Bounds(0.0, np.r_[[one.held_usd / scale for one in lanes], np.ones(count), most_short])
    integral = np.repeat(np.array([0, 1, 0]), [count, count, venues])
    short = np.r_[np.zeros(2 * count), np.ones(venues)]
    least = _optimum(short, constraints, bounds, integral)
    no_shorter = LinearConstraint(short[None, :], -np.inf, float(short @ least) + 1e-9)
    use = [usage(purse.maintenance, purse.balance) for purse in purses]
    # Of ways that cost the same, the one whose sender is farthest from a call.
    moved = [per_usd_moved * (1.0 + _TIE * min(use[one.sender], 1.0)) for one in lanes]
    cost = np.r_[moved, [one.fee_usd / scale for one in lanes], np.full(venues, 1e-6)]
    solved = _optimum(cost, [*constraints, no_shorter], bounds, integral)
    solved[:count] *= scale
    solved[2 * count :] *= scale
    return solved


def _optimum(cost: Floats, constraints: list[LinearConstraint], bounds: Bounds, integral: Ints) -> Floats:
    found = milp(cost, constraints=constraints, bounds=bounds, integrality=integral, options={"mip_rel_gap": 0.0})
    if found.x is None:
        raise FlatbookError(f"transfers: the solver found no plan ({found.message}); report the book that did it")
    return np.asarray(found.x)


def _bounds_of_lanes(lanes: Sequence[_Lane], venues: int, scale: float) -> LinearConstraint:
    """Nothing is sent, or from the least to all that is held."""
    count = len(lanes)
    none = np.zeros((count, venues))
    least = np.diag([one.least_usd / scale for one in lanes])
    held = np.diag([one.held_usd / scale for one in lanes])
    rows = np.block([[np.eye(count), -least, none], [np.eye(count), -held, none]])
    low = np.r_[np.zeros(count), np.full(count, -np.inf)]
    return LinearConstraint(rows, low, np.r_[np.full(count, np.inf), np.zeros(count)])


def _what_is_held(lanes: Sequence[_Lane], venues: int, scale: float) -> LinearConstraint:
    """All that leaves a venue in a currency was there."""
    sources = sorted({(one.sender, one.currency) for one in lanes})
    rows, held = np.zeros((len(sources), 2 * len(lanes) + venues)), np.zeros(len(sources))
    for at, one in enumerate(lanes):
        row = sources.index((one.sender, one.currency))
        rows[row, at], held[row] = 1.0, one.held_usd / scale
    return LinearConstraint(rows, -np.inf, held)


def _what_is_needed(purses: Sequence[Purse], lanes: Sequence[_Lane], scale: float) -> list[LinearConstraint]:
    """Initial and maintenance, each covered by what is there, arrives, does not leave, and is short."""
    count, venues = len(lanes), len(purses)
    found = []
    for side in (0, 1):
        rows, needed = np.zeros((venues, 2 * count + venues)), np.zeros(venues)
        for v, purse in enumerate(purses):
            has = purse.balance if side else purse.initial_balance
            # Who is not short may do nothing, or give all that he can spare.
            needed[v] = (purse.needs[side] - has) / scale + _SLACK * (purse.short > 0.0)
            rows[v, 2 * count + v] = 1.0
            for at, one in enumerate(lanes):
                counted = 1.0 - purse.haircuts.get(one.currency, (1.0, 1.0))[side]
                if one.receiver == v:
                    rows[v, at] += counted
                    rows[v, count + at] -= counted * one.fee_usd / scale
                elif one.sender == v:
                    rows[v, at] -= counted
        found.append(LinearConstraint(rows, needed, np.inf))
    return found


def _rounded(
    purses: Sequence[Purse],
    lanes: Sequence[_Lane],
    terms: TransferTerms,
    usd_per: Mapping[str, float],
    sent_usd: Floats,
    is_used: Floats,
) -> tuple[Transfer, ...]:
    """In whole units, up, and never more than is held."""
    found, left = [], {(purse.venue, name): units for purse in purses for name, units in purse.units.items()}
    for one, usd, used in zip(lanes, sent_usd.tolist(), is_used.tolist(), strict=True):
        if used < 0.5:
            continue
        sender, receiver = purses[one.sender].venue, purses[one.receiver].venue
        wanted = -int(-usd / usd_per[one.currency] * units_per_coin(one.currency) // 1)
        sent = min(
            max(wanted, exact_units(terms.least.get(one.currency, Decimal(0)), one.currency)),
            left[sender, one.currency],
        )
        left[sender, one.currency] -= sent
        fee = terms.fee_units(sender, one.currency)
        if sent > fee:
            found.append(Transfer(sender, receiver, one.currency, sent, fee))
    return tuple(found)
