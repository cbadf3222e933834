import math
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatbook.domain.errors import BadInputError
from flatbook.kernels.black import black
from flatbook.market.analytics.delta import (
    STICKY_MONEYNESS,
    STICKY_STRIKE,
    Deltas,
    OptionColumns,
    VolMove,
    deltas,
    hedged_pnl_coin,
    hedging_errors,
    observe_stickiness,
    observe_vol_move,
    stickiness_of,
    vol_move_of,
)
from flatbook.market.analytics.regression import Moments
from flatbook.market.analytics.smile import Smile
from tests.market_analytics.chains import JULY, WINTER, Expiry, Floats, Snapshot, needs_chains, snapshots
from tests.market_analytics.published import ssvi

FORWARD, YEARS = 80_000.0, 0.1
SMILE = ssvi(0.03, -0.4, 0.9, YEARS, FORWARD)
K = np.linspace(-0.4, 0.4, 17)
SIGN = np.where(K < 0.0, -1.0, 1.0)


def columns(smile: Smile, k: Floats, sign: Floats) -> OptionColumns:
    """Options on a smile."""
    forward = np.full(k.size, smile.forward_usd)
    value = black(forward, smile.forward_usd * np.exp(k), smile.vol(k), smile.years, sign)
    years = np.full(k.size, smile.years)
    return OptionColumns(value.delta, value.vega, value.price / forward, forward, years, smile.vol_slope(k), sign)


def coin_price(smile: Smile, strike: Floats, forward: float, slide: float) -> Floats:
    """Price where the smile slid by a share of the log move: 0 stays by strike, 1 goes with the forward."""
    k = np.log(strike / smile.forward_usd) - slide * math.log(forward / smile.forward_usd)
    return np.asarray(black(forward, strike, smile.vol(k), smile.years, SIGN).price / forward)


@given(st.floats(-0.5, 2.5))
def test_the_smile_delta_hedges_a_smile_that_slides_so(stickiness: float) -> None:
    strike, h = FORWARD * np.exp(K), 1e-5
    found = deltas(columns(SMILE, K, SIGN), stickiness, VolMove()).smile
    up, down = (coin_price(SMILE, strike, FORWARD * math.exp(step), 1.0 - stickiness) for step in (h, -h))
    np.testing.assert_allclose(found, (up - down) / (2 * h), atol=1e-7)


def test_conventions_in_terms_of_one_another() -> None:
    options = columns(SMILE, K, SIGN)
    found = deltas(options, STICKY_STRIKE, VolMove())
    np.testing.assert_array_equal(found.smile, found.premium_adjusted)
    np.testing.assert_array_equal(found.minimum_variance, found.premium_adjusted)
    np.testing.assert_allclose(found.black - found.premium_adjusted, options.price_coin, atol=1e-15)
    sliding = deltas(options, STICKY_MONEYNESS, VolMove())
    expected = options.black_delta - options.vega_usd * options.vol_slope / FORWARD - options.price_coin
    np.testing.assert_allclose(sliding.smile, expected, atol=1e-15)


def test_a_linear_option_has_no_premium_to_adjust_for() -> None:
    options = columns(SMILE, K, SIGN)._replace(price_coin=np.zeros(K.size))
    found = deltas(options, STICKY_STRIKE, VolMove())
    np.testing.assert_array_equal(found.premium_adjusted, found.black)


def test_a_call_and_a_put_of_one_strike_are_corrected_alike() -> None:
    calls, puts = (columns(SMILE, K, np.full(K.size, sign)) for sign in (1.0, -1.0))
    move = VolMove(-0.2, 0.1, 0.05)
    for name in ("smile", "minimum_variance"):
        call, put = (getattr(deltas(options, 0.4, move), name) for options in (calls, puts))
        # Parity in coin: C - P = 1 - K/F, whose delta in coins is K/F.
        np.testing.assert_allclose(call - put, np.exp(K), atol=1e-12)


@given(st.floats(-0.5, 2.5))
def test_a_stickiness_ratio_is_found_where_it_shows(ratio: float) -> None:
    rng = np.random.default_rng(4)
    moments = Moments.none(1)
    for _ in range(200):
        move, skew = 0.02 * rng.normal(size=3), -0.3 + 0.1 * rng.normal(size=3)
        moments = observe_stickiness(moments, skew, move, ratio * skew * move + 5e-4 * rng.normal(size=3), 0.99)
    found = stickiness_of(moments)
    assert found == pytest.approx(ratio, abs=0.1) or (found == STICKY_STRIKE and abs(ratio - 1.0) < 0.1)


def test_without_evidence_a_smile_is_sticky_by_strike() -> None:
    rng = np.random.default_rng(6)
    assert stickiness_of(Moments.none(1)) == STICKY_STRIKE
    gated = 0
    for _ in range(300):
        moments = Moments.none(1)
        for _ in range(60):
            move, skew = np.full(3, 0.02 * rng.normal()), np.full(3, -0.3)  # three expiries that move as one
            moments = observe_stickiness(moments, skew, move, skew * move + 0.01 * rng.normal(), 1.0)
        gated += stickiness_of(moments) == STICKY_STRIKE
    assert 0.91 < gated / 300 < 0.99  # one in twenty is let through by chance


def test_the_quadratic_of_hull_and_white_is_recovered_and_hedges() -> None:
    rng, truth = np.random.default_rng(7), VolMove(-0.25, 0.3, -0.15)
    moments = Moments.none(3)
    squares = np.zeros(2)
    for _ in range(120):
        options = columns(SMILE, K, SIGN)
        forward = np.full(K.size, FORWARD * math.exp(0.005 * rng.normal()))
        relative = forward / FORWARD - 1.0
        vol_move = truth.per_log_move(options.call_delta(), options.years) * relative + 2e-4 * rng.normal(size=K.size)
        after = options.price_coin * FORWARD + options.black_delta * (forward - FORWARD) + options.vega_usd * vol_move
        moments = observe_vol_move(moments, options, forward, after, 1.0)
        found = deltas(options, STICKY_STRIKE, vol_move_of(moments))
        for row, delta in enumerate((found.premium_adjusted, found.minimum_variance)):
            pnl = hedged_pnl_coin(options.price_coin, after / forward, delta, options.forward_usd, forward)
            squares[row] += float(pnl @ pnl)
    estimate = vol_move_of(moments)
    assert (estimate.a, estimate.b, estimate.c) == pytest.approx((truth.a, truth.b, truth.c), abs=0.02)
    assert squares[1] < 0.3 * squares[0]  # the first steps, before there is evidence, included
    assert vol_move_of(Moments.none(3)) == VolMove()


def test_a_future_hedged_by_itself_earns_nothing() -> None:
    """One coin of a coin-settled future: 1 - F0/F1 for a delta of one."""
    before, after = np.full(3, 80_000.0), np.array([70_000.0, 80_000.0, 95_000.0])
    future = 1.0 - before / after
    np.testing.assert_allclose(hedged_pnl_coin(np.zeros(3), future, np.ones(3), before, after), 0.0, atol=1e-16)


def test_black_deltas_over_hedge_by_the_premium() -> None:
    """Small steps, both ways, at an unmoved smile: the premium-adjusted delta leaves second order alone."""
    options = columns(SMILE, K, SIGN)
    strike = FORWARD * np.exp(K)
    for step in (1e-3, -1e-3):
        forward = FORWARD * math.exp(step)
        after = coin_price(SMILE, strike, forward, slide=0.0)
        found = deltas(options, STICKY_STRIKE, VolMove())
        ends = (options.price_coin, after), (options.forward_usd, np.full(K.size, forward))
        net, plain = (hedged_pnl_coin(*ends[0], delta, *ends[1]) for delta in (found.premium_adjusted, found.black))
        assert np.abs(net).max() < 1e-5
        np.testing.assert_allclose(plain - net, -options.price_coin * step, rtol=2e-3)


def test_the_table_holds_all_to_the_premium_adjusted_delta() -> None:
    table = hedging_errors({"black": np.array([2.0, -2.0]), "premium_adjusted": np.array([1.0, -1.0])})
    for pnl in ({"black": np.ones(2)}, {"premium_adjusted": np.zeros(0)}):
        with pytest.raises(BadInputError, match="premium_adjusted"):
            hedging_errors(pnl)
    assert table == (("black", 2.0, -3.0), ("premium_adjusted", 1.0, 0.0))


# What each convention leaves on recorded chains


TENOR_EDGES = np.array([14.0, 60.0]) / 365
HALF_LIFE_STEPS = 40  # ten days of four chains


def pairs(files: tuple[str, ...], currency: str) -> Iterator[tuple[Snapshot, Snapshot]]:
    """Chains in a row, at most nine hours apart."""
    before: Snapshot | None = None
    for chain in snapshots(files, currency):
        if before is not None and chain.time_s - before.time_s < 9 * 3600:
            yield before, chain
        before = chain


def step_of(old: Expiry, new: Expiry) -> tuple[OptionColumns, Floats, Smile, Smile] | None:
    """Out-of-the-money options of one expiry between 5 and 95 delta, with their coin marks afterwards."""
    smile, later = old.smile(), new.smile()
    if smile is None or later is None or old.years < 3 / 365:
        return None
    strike, at_old, at_new = np.intersect1d(old.strike_usd, new.strike_usd, return_indices=True)
    k = np.log(strike / old.forward_usd)
    sign = np.where(k < 0.0, -1.0, 1.0)
    before = np.where(sign < 0.0, old.put_mark[at_old], old.call_mark[at_old])
    after = np.where(sign < 0.0, new.put_mark[at_new], new.call_mark[at_new])
    options = columns(smile, k, sign)
    inside = (np.abs(options.black_delta) > 0.05) & (before > 0.0) & (after > 0.0)
    kept = OptionColumns(*(column[inside] for column in options._replace(price_coin=before)))
    return kept, after[inside], smile, later


def hedged(files: tuple[str, ...], currency: str) -> tuple[dict[str, Floats], list[float]]:
    """P&L by convention, each estimate of what was seen before its step alone; and stickiness ratios by tenor."""
    decay = 0.5 ** (1 / HALF_LIFE_STEPS)
    sticky = [Moments.none(1) for _ in range(TENOR_EDGES.size + 1)]
    quadratic = Moments.none(3)
    pnl: dict[str, list[Floats]] = {name: [] for name in Deltas._fields}
    for old, new in pairs(files, currency):
        later_by_name = {expiry.name: expiry for expiry in new.expiries}
        move = vol_move_of(quadratic)
        seen: list[tuple[OptionColumns, Floats, Floats]] = []
        rows: list[list[tuple[float, float, float]]] = [[] for _ in sticky]
        for expiry in old.expiries:
            step = step_of(expiry, later_by_name[expiry.name]) if expiry.name in later_by_name else None
            if step is None:
                continue
            options, after, smile, later = step
            tenor = int(np.searchsorted(TENOR_EDGES, smile.years))
            forward = np.full(after.size, later.forward_usd)
            for name, delta in zip(Deltas._fields, deltas(options, stickiness_of(sticky[tenor]), move), strict=True):
                pnl[name].append(hedged_pnl_coin(options.price_coin, after, delta, options.forward_usd, forward))
            seen.append((options, forward, after * forward))
            moved = math.log(later.forward_usd / smile.forward_usd)
            rows[tenor].append((float(smile.vol_slope(0.0)), moved, float(later.vol(0.0) - smile.vol(0.0))))
        for tenor, found in enumerate(rows):
            if found:
                skew, log_move, vol_move = np.array(found).T
                sticky[tenor] = observe_stickiness(sticky[tenor], skew, log_move, vol_move, decay)
        if seen:
            chain = OptionColumns(*(np.concatenate(parts) for parts in zip(*(row[0] for row in seen), strict=True)))
            forward, after = (np.concatenate(parts) for parts in list(zip(*seen, strict=True))[1:])
            quadratic = observe_vol_move(quadratic, chain, forward, after, decay)
    return {name: np.concatenate(parts) for name, parts in pnl.items()}, [stickiness_of(part) for part in sticky]


@needs_chains
@pytest.mark.slow
@pytest.mark.parametrize("currency", ["BTC", "ETH"])
@pytest.mark.parametrize(("files", "least_gain"), [(WINTER, 0.15), (JULY, 0.0)], ids=["winter", "july"])
def test_hedging_errors_on_recorded_chains(files: tuple[str, ...], least_gain: float, currency: str) -> None:
    """A winter in which vol rose as the coins fell, and a July that says little of how vol moves.

    There the estimates must not do harm: without blocks for evidence they added a third to July's squared P&L.
    """
    pnl, ratios = hedged(files, currency)
    table = hedging_errors(pnl)
    for row in table:
        sys.stdout.write(
            f"{currency} {row.convention:17s} rms {1e4 * row.rms_coin:6.2f} bp of coin, gain {row.gain:+.3f}\n"
        )
    sys.stdout.write(f"{currency} stickiness under 14, under 60, beyond 60 days: {np.round(ratios, 2)}\n")
    assert pnl["black"].size > 10_000
    error = {row.convention: row for row in table}
    assert error["black"].gain < -0.4
    assert error["smile"].gain > -0.03
    assert error["minimum_variance"].gain > least_gain
