import math
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from flatbook.kernels import implied, surface_joint, surface_joint_plain, svi, svi_plain
from flatbook.kernels.surface_joint import SURFACE_CODES, SURFACE_SIZE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "deribit-chain-6h" / "chain_2026-02-01_14.parquet"
"""Whole chains of BTC and ETH options four times a day, the crash of 3 to 7 February 2026 among them."""


@dataclass
class Chain:
    """Quotes of several expiries, one after the other."""

    first: Ints
    k: Floats
    vol_lo: Floats
    vol_hi: Floats
    vol_mid: Floats
    weight: Floats
    years: Floats

    def fit(self, module: ModuleType = surface_joint, start: Floats | None = None) -> tuple[Floats, list[str]]:
        n = self.years.size
        none = np.full((n, 5), math.nan)
        out, code = np.empty((n, SURFACE_SIZE)), np.empty(n, dtype=np.int8)
        quotes = (self.k, self.vol_lo, self.vol_hi, self.vol_mid, self.weight)
        begin = none if start is None else start
        module.fit_surface(self.first, *quotes, self.years, begin, none, np.zeros(n), 0.2, out, code)
        return out, [SURFACE_CODES[c] for c in code]


def smile(params: Floats, k: Floats, years: float) -> Floats:
    out = np.empty(k.size)
    svi.svi_vol(np.ascontiguousarray(params), k, years, out)
    return out


def natural(level: float, years: float, skew: float = -0.3, wing: float = 0.5) -> Floats:
    """A smile of one shape in its own standard deviations."""
    deviation = level * math.sqrt(years)
    return np.array([0.5 * deviation**2, wing * deviation, skew, 0.1 * deviation, deviation])


def chain_of(slices: list[Floats], years: list[float], half_spread: float = 2e-3, noise: float = 0.0) -> Chain:
    rng = np.random.default_rng(0)
    ks, vols = [], []
    for params, t in zip(slices, years, strict=True):
        k = np.linspace(-2.5, 2.5, 25) * math.sqrt(float(params[1]) ** 2 * 4.0)
        ks.append(k)
        vols.append(smile(params, k, t) + rng.normal(0.0, noise, k.size))
    k, mid = np.concatenate(ks), np.concatenate(vols)
    first = np.concatenate([[0], np.cumsum([part.size for part in ks])])
    weight = np.full(k.size, 1.0 / half_spread)
    return Chain(first, k, mid - half_spread, mid + half_spread, mid, weight, np.array(years))


def witness(params: Floats) -> tuple[float, float]:
    """Least g and least rise of total variance by plain numpy, on another grid than the kernel's."""
    least_g, least_gap, near = math.inf, math.inf, None
    for a, b, rho, m, s in params:
        k = np.concatenate([np.linspace(-3.0, 3.0, 4001), [-1e4, -100.0, -10.0, 10.0, 100.0, 1e4]])
        radius = np.hypot(k - m, s)
        w, dw, d2w = a + b * (rho * (k - m) + radius), b * (rho + (k - m) / radius), b * s * s / radius**3
        g = (1.0 - 0.5 * k * dw / w) ** 2 - 0.25 * dw**2 * (1.0 / w + 0.25) + 0.5 * d2w
        least_g = min(least_g, float(g.min()))
        least_gap = least_gap if near is None else min(least_gap, float((w - near).min()))
        near = w
    return least_g, least_gap


def test_a_surface_without_arbitrage_is_found_as_it_is() -> None:
    years = [0.01, 0.05, 0.2, 0.7]
    slices = [natural(0.6, t) for t in years]
    chain = chain_of(slices, years)
    out, code = chain.fit()
    assert code == ["converged"] * 4
    for i, (params, t) in enumerate(zip(slices, years, strict=True)):
        k = chain.k[chain.first[i] : chain.first[i + 1]]
        assert np.max(np.abs(smile(out[i, :5], k, t) - smile(params, k, t))) < 1e-3
    assert not out[:, 8].any()


@pytest.mark.parametrize("module", [surface_joint, surface_joint_plain], ids=["kernel", "plain"])
def test_crossing_expiries_are_separated_at_little_cost(module: ModuleType) -> None:
    years = [0.02, 0.03, 0.1, 0.3]
    slices = [natural(0.9, 0.02), natural(0.7, 0.03), natural(0.6, 0.1, skew=0.3), natural(0.6, 0.3, wing=0.25)]
    chain = chain_of(slices, years, half_spread=0.02, noise=0.003)
    assert witness(np.array(slices))[1] < 0.0
    out, code = chain.fit(module)
    assert code == ["converged"] * 4
    least_g, least_gap = witness(out[:, :5])
    assert least_g >= 0.0
    assert least_gap >= 0.0
    assert np.max(out[:, 5]) < 0.02


def test_kernel_and_plain_twin_find_the_same_surface() -> None:
    years = [0.02, 0.03, 0.1, 0.3]
    slices = [natural(0.9, 0.02), natural(0.7, 0.03), natural(0.6, 0.1, skew=0.3), natural(0.6, 0.3, wing=0.25)]
    chain = chain_of(slices, years, half_spread=0.02, noise=0.003)
    fast, fast_code = chain.fit(surface_joint)
    plain, plain_code = chain.fit(surface_joint_plain)
    assert fast_code == plain_code
    for i, t in enumerate(years):
        k = chain.k[chain.first[i] : chain.first[i + 1]]
        np.testing.assert_allclose(smile(fast[i, :5], k, t), smile(plain[i, :5], k, t), atol=3e-3)
    for module in (surface_joint, surface_joint_plain):
        least_g, least_gap = np.empty(4), np.empty(4)
        module.check_surface(np.ascontiguousarray(fast[:, :5]), least_g, least_gap)
        assert least_g.min() >= 0.0
        assert np.nanmin(least_gap) >= 0.0
        assert math.isnan(least_gap[0])


def test_check_sees_each_kind_of_arbitrage() -> None:
    vogt = np.array([-0.0410, 0.1331, 0.3060, 0.3586, 0.4153])
    flat_wing, steep_wing = np.array([0.05, 0.1, 0.0, 0.0, 0.1]), np.array([0.04, 0.11, 0.0, 0.0, 0.1])
    params = np.array([vogt, np.full(5, math.nan), vogt * [1.0, 1.0, 1.0, 1.0, 1.0] + [0.01, 0, 0, 0, 0]])
    least_g, least_gap = np.empty(3), np.empty(3)
    surface_joint.check_surface(params, least_g, least_gap)
    assert least_g[0] == pytest.approx(-0.0329, abs=1e-3)
    assert math.isnan(least_g[1])
    assert least_gap[2] == pytest.approx(0.01, abs=1e-6)
    surface_joint.check_surface(np.array([steep_wing, flat_wing]), least_g[:2], least_gap[:2])
    assert least_gap[1] == -math.inf


@pytest.mark.parametrize("module", [surface_joint, surface_joint_plain], ids=["kernel", "plain"])
def test_check_sees_arbitrage_beside_a_bend_sharper_than_its_grid(module: ModuleType) -> None:
    deviation = 0.3
    b, rho, m, s = 0.5 * deviation, -0.4, -1.1 * deviation, 1e-5 * deviation
    sharp = np.array([[deviation**2 - b * (math.hypot(m, s) - rho * m), b, rho, m, s]])
    beside = m + deviation * np.array([-6e-3, -4e-3, -3e-3])
    assert svi_plain.durrleman(sharp[0], beside).min() < -1e-3
    least_g, least_gap = np.empty(1), np.empty(1)
    module.check_surface(sharp, least_g, least_gap)
    assert least_g[0] < -1e-3


def test_a_bad_expiry_does_not_stop_the_others() -> None:
    years = [0.01, 0.05, 0.2]
    chain = chain_of([natural(0.6, t) for t in years], years)
    part = slice(chain.first[1], chain.first[2])
    for column in (chain.vol_lo, chain.vol_hi, chain.vol_mid):
        column[part] = math.nan
    out, code = chain.fit()
    assert code == ["converged", "too_few_points", "converged"]
    assert np.isnan(out[1, :6]).all()
    chain.years[2] = 0.01  # no later than one before it
    assert chain.fit()[1][2] == "bad_input"


def test_a_light_expiry_gives_way_to_a_heavy_one() -> None:
    years = [0.02, 0.025]
    chain = chain_of([natural(1.5, 0.02), natural(0.6, 0.025)], years)
    chain.weight[: chain.first[1]] *= 0.01
    out, code = chain.fit()
    heavy = slice(chain.first[1], chain.first[2])
    assert code[1] == "converged"
    np.testing.assert_allclose(smile(out[1, :5], chain.k[heavy], 0.025), chain.vol_mid[heavy], atol=0.01)


@pytest.mark.slow
@pytest.mark.skipif(not RECORDED.exists(), reason="recorded chains are not beside this checkout")
def test_recorded_chains() -> None:
    counted, converged, close, two_sided = 0, 0, 0, 0
    for chain in recorded_chains(every=8):
        out, code = chain.fit()
        stands = np.array([name == "converged" for name in code])
        counted, converged = counted + stands.size, converged + int(stands.sum())
        least_g, least_gap = witness(out[stands, :5])
        assert least_g >= 0.0
        assert least_gap >= -1e-12
        for i in np.flatnonzero(stands):
            part = slice(chain.first[i], chain.first[i + 1])
            deviation = float(smile(out[i, :5], np.zeros(1), 1.0)[0])
            near = np.isfinite(chain.vol_mid[part]) & (np.abs(chain.k[part]) < 2.0 * deviation)
            if near.any():
                off = (smile(out[i, :5], chain.k[part], chain.years[i]) - chain.vol_mid[part])[near]
                half = 0.5 * (chain.vol_hi[part] - chain.vol_lo[part])[near]
                two_sided += 1
                close += int(math.sqrt(float(np.mean(off**2))) < float(np.median(half)))
    assert counted > 100
    assert converged >= 0.99 * counted
    assert close >= 0.95 * two_sided


def recorded_chains(every: int) -> list[Chain]:
    frame = pl.read_parquet(RECORDED)
    snapshots = frame.partition_by(["snapshot_file", "currency"], maintain_order=True)[::every]
    return [recorded_chain(snapshot) for snapshot in snapshots]


def recorded_chain(snapshot: pl.DataFrame) -> Chain:
    columns: list[list[Floats]] = [[], [], [], [], []]
    years, first = [], [0]
    for expiry in sorted(snapshot.partition_by("expiry_datetime"), key=lambda rows: rows["time_to_maturity"][0]):
        forward, strike = expiry["underlying"].to_numpy(), expiry["strike"].to_numpy().astype(np.float64)
        sign = np.where(expiry["option_type"].str.to_lowercase().str.starts_with("c").to_numpy(), 1.0, -1.0)
        t = np.full(strike.size, float(expiry["time_to_maturity"][0]) * 365.25 / 365.0)
        out_of_money = (sign > 0) == (strike >= forward)
        order = np.argsort(strike[out_of_money])

        def vol(name: str, sides: tuple[Floats, ...] = (forward, strike, t, sign), rows: object = expiry) -> Floats:
            forward, strike, t, sign = sides
            price = np.nan_to_num(rows[name].to_numpy(), nan=-1.0) * forward  # type: ignore[index]
            found, reason = np.empty(price.size), np.empty(price.size, dtype=np.int8)
            implied.implied_vol(price, forward, strike, t, sign, found, reason)
            return found

        bid, ask = vol("bid_price")[out_of_money][order], vol("ask_price")[out_of_money][order]
        spread = ask - bid
        usual = float(np.nanmedian(spread)) if np.isfinite(spread).any() else 0.05
        weight = 1.0 / np.maximum(np.where(np.isfinite(spread), spread, 2.0 * usual), 0.002)
        k = np.log(strike / forward)[out_of_money][order]
        for column, values in zip(columns, (k, bid, ask, 0.5 * (bid + ask), weight), strict=True):
            column.append(values)
        first.append(first[-1] + k.size)
        years.append(t[0])
    k, bid, ask, mid, weight = (np.concatenate(column) for column in columns)
    return Chain(np.array(first), k, bid, ask, mid, weight, np.array(years))
