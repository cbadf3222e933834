"""Derive's Dutch auctions: shares of a whole account are sold to whoever first finds them cheap enough.

    solvent     while the account is worth something: bidders pay a falling fraction of what it is worth, for at most
                the share that restores its margin with a buffer
    insolvent   once it is not, or nobody came: a bidder is paid to take it, more and more, up to its requirement; the
                security module pays, and what that lacks is socialised

Margins here are net, as Derive states them: what an account is worth, mark to market (MtM), less the requirement is MM,
below zero when short. Cash that an auction brought in is reserved: nobody can bid on it.

Source: derivexyz/v2-core, DutchAuction.sol and its configuration; prices fall to the second, not by block.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from flatbook.risk.liquidation.incremental import short_of_margin
from flatbook.risk.liquidation.market import VenueMarket
from flatbook.risk.liquidation.state import FUND, MAKERS, VenueState

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class AuctionRules:
    """An auction's course; shares and fractions plain, times in seconds.

    start, fast_to  fraction of MtM asked for at first, and after `fast_s`; nothing after `slow_s` more
    buffer_share    of MM − MtM, by which a solvent auction leaves an account safer than just covered
    fee_share       of what the greatest share is worth at the start, to the security module
    whole_below     units of MtM below which all of an account is for sale
    """

    start: float = 0.95
    fast_to: float = 0.70
    fast_s: float = 900.0
    slow_s: float = 43_200.0
    insolvent_s: float = 3_600.0
    buffer_share: float = 0.15
    fee_share: float = 0.10
    whole_below: int = 0

    def bid_fraction(self, after_s: float) -> float:
        """Fraction of MtM that a bidder pays `after_s` into a solvent auction."""
        if after_s < self.fast_s:
            return self.start - (self.start - self.fast_to) * after_s / self.fast_s
        return self.fast_to * max(0.0, 1.0 - (after_s - self.fast_s) / self.slow_s)

    def buffer_margin(self, mm: float, mtm: float) -> float:
        """MM as it would be if the requirement were larger by the buffer; the auction ends once it is not negative."""
        return mm + self.buffer_share * (mm - mtm)

    def most_share(self, mm: float, mtm: float, fraction: float, reserved: float = 0.0) -> float:
        """The share of an account whose sale at `fraction` brings its buffer margin to zero, at most all of it."""
        if mtm < self.whole_below:
            return 1.0
        buffer = self.buffer_margin(mm, mtm)
        left = buffer - mtm * fraction - reserved * (1.0 - fraction)
        return min(1.0, buffer / left) if left < 0.0 <= -buffer else 0.0

    def insolvent_bid(self, after_s: float, mm: float, mtm: float) -> float:
        """What is bid for all of an account, below zero: from min(MtM, 0) down to MM."""
        top = min(mtm, 0.0)
        return top + (min(mm, top) - top) * min(1.0, after_s / self.insolvent_s)


@dataclass(frozen=True, eq=False)
class Auctions:
    """Auctions under way, by account (a,).

    solvent_s, insolvent_s  when each phase began, NaN where it has not
    reserved                units of cash that this auction brought in
    """

    solvent_s: Floats
    insolvent_s: Floats
    reserved: Ints

    @classmethod
    def none(cls, accounts: int) -> Auctions:
        """No account is for sale."""
        never = np.full(accounts, math.nan)
        return cls(never, never, np.zeros(accounts, dtype=np.int64))

    @property
    def under_way(self) -> Ints:
        """Accounts in an auction."""
        return np.flatnonzero(~(np.isnan(self.solvent_s) & np.isnan(self.insolvent_s)))

    def ended(self, rows: Ints) -> Auctions:
        """Without those of `rows`."""
        solvent_s, insolvent_s, reserved = self.solvent_s.copy(), self.insolvent_s.copy(), self.reserved.copy()
        solvent_s[rows], insolvent_s[rows], reserved[rows] = math.nan, math.nan, 0
        return Auctions(solvent_s, insolvent_s, reserved)


@dataclass(frozen=True, eq=False)
class _Net:
    """What accounts (k,) are worth and their MM, units, in one market."""

    mtm: Ints
    mm: Ints

    @classmethod
    def of(cls, state: VenueState, rows: Ints, market: VenueMarket) -> _Net:
        cash, lots = state.cash[rows], state.lots[rows]
        return cls(market.balance(cash, lots), market.surplus(cash, lots))


def auctioned(
    state: VenueState, auctions: Auctions, now_s: float, believed: VenueMarket, actual: VenueMarket,
    rules: AuctionRules, edge_share: float,
) -> tuple[VenueState, Auctions]:  # fmt: skip
    """Auctions begun, ended and bid on at `now_s`.

    The venue starts and prices them by what it believes. Bidders know what an account really holds, and take it once
    they gain `edge_share` of its gross notional, at the makers' account.
    """
    state, auctions = _begun(state, auctions, now_s, believed, rules)
    for row in auctions.under_way.tolist():
        at = np.array([row])
        net = _Net.of(state, at, believed)
        mtm, mm = float(net.mtm[0]), float(net.mm[0])
        if rules.buffer_margin(mm, mtm) >= 0.0:
            auctions = auctions.ended(at)
            continue
        auctions = _turned(auctions, row, now_s, mtm, rules)
        edge = edge_share * float(np.abs(state.lots[row]) @ actual.notional)
        if math.isnan(auctions.insolvent_s[row]):
            state, auctions = _solvent_bid(state, auctions, row, now_s, (mtm, mm), actual, rules, edge)
        else:
            bid = rules.insolvent_bid(now_s - auctions.insolvent_s[row], mm, mtm)
            worth = int(actual.equity(state.cash[at], state.lots[at])[0])
            # The whole account with its cash, and `bid` paid to the bidder beside, from which it has what it owes.
            if worth - bid >= max(edge, 0.0):
                state, auctions = _insolvent_sale(state, row, math.floor(bid), actual), auctions.ended(at)
    return state, auctions


def _begun(
    state: VenueState, auctions: Auctions, now_s: float, believed: VenueMarket, rules: AuctionRules
) -> tuple[VenueState, Auctions]:
    """New auctions of who is short, with their fee to the security module."""
    rows = np.setdiff1d(short_of_margin(state, believed), auctions.under_way)
    if not rows.size:
        return state, auctions
    net = _Net.of(state, rows, believed)
    pairs = list(zip(net.mm.tolist(), net.mtm.tolist(), strict=True))
    most = [rules.most_share(mm, mtm, 1.0) if mtm > 0 else 0.0 for mm, mtm in pairs]
    fee = np.array(
        [math.ceil(rules.fee_share * share * max(mtm, 0)) for share, (_, mtm) in zip(most, pairs, strict=True)]
    )
    solvent_s = auctions.solvent_s.copy()
    solvent_s[rows] = now_s
    return state.cancelled(rows).paid(rows, fee.astype(np.int64), FUND), replace(auctions, solvent_s=solvent_s)


def _turned(auctions: Auctions, row: int, now_s: float, mtm: float, rules: AuctionRules) -> Auctions:
    """Insolvent once it is worth nothing, or once nobody bid in all the time there was; it never turns back."""
    if not math.isnan(auctions.insolvent_s[row]):
        return auctions
    is_over = now_s - auctions.solvent_s[row] >= rules.fast_s + rules.slow_s
    if mtm > 0.0 and not is_over:
        return auctions
    insolvent_s = auctions.insolvent_s.copy()
    insolvent_s[row] = now_s
    return replace(auctions, insolvent_s=insolvent_s)


def _solvent_bid(
    state: VenueState, auctions: Auctions, row: int, now_s: float, net: tuple[float, float], actual: VenueMarket,
    rules: AuctionRules, edge: float,
) -> tuple[VenueState, Auctions]:  # fmt: skip
    """The greatest share sold at the moment's price, if that leaves the bidder its edge."""
    mtm, mm = net
    reserved = float(auctions.reserved[row])
    fraction = rules.bid_fraction(now_s - auctions.solvent_s[row])
    asked = fraction * (mtm - reserved)
    at = np.array([row])
    worth = float(actual.equity(state.cash[at], state.lots[at])[0]) - reserved
    if worth - asked < edge:
        return state, auctions
    share = rules.most_share(mm, mtm, fraction, reserved)
    if share <= 0.0:
        return state, auctions
    # Lots round away from zero, so that a sale always brings an account nearer to its margin; so does the price.
    lots = state.lots[row]
    sold = np.sign(lots) * np.minimum(np.ceil(share * np.abs(lots)).astype(np.int64), np.abs(lots))
    cash = math.floor(share * (int(state.cash[row]) - int(auctions.reserved[row])))
    price = math.ceil(share * asked)
    nothing = np.zeros_like(actual.mark)
    state = state.exchanged(at, -sold[None, :], nothing, MAKERS, np.array([cash - price]))
    kept = auctions.reserved.copy()
    kept[row] += price
    return state, replace(auctions, reserved=kept)


def _insolvent_sale(state: VenueState, row: int, bid: int, actual: VenueMarket) -> VenueState:
    """All of an account goes to the bidder, and −`bid` from the security module with it; the account has nothing."""
    at = np.array([row])
    state = state.exchanged(at, -state.lots[at], np.zeros_like(actual.mark), MAKERS, state.cash[at])
    return state.paid(np.array([len(state.cash) + FUND]), np.array([-bid]), MAKERS)
