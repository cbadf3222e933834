"""Black-76: price with four Greeks, and with ten, against numpy, XLA and hand-written AVX-512."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from bench.measure import Bar, Contender, Work, local
from bench.peers.native import Addresses, MissingPeerError, black_avx512
from bench.peers.remote import remote
from flatbook.kernels import black, black_plain
from flatbook.kernels.parallel import for_slices

Floats = NDArray[np.float64]

THREADS = os.cpu_count() or 1
MILLION, THOUSAND = 1_000_000, 1_000
NAMES = ("forward", "strike", "vol", "years", "sign")


def options(n: int) -> list[Floats]:
    """A book's worth of options: forward, strike, vol, years, sign."""
    rng = np.random.default_rng(1)
    forward = 60_000.0 * np.exp(rng.normal(0.0, 0.1, n))
    years, vol = rng.uniform(1e-3, 2.0, n), rng.uniform(0.2, 1.5, n)
    strike = forward * np.exp(rng.normal(0.0, 1.0, n) * vol * np.sqrt(years))
    return [forward, strike, vol, years, rng.choice([-1.0, 1.0], n)]


def textbook(forward: Floats, strike: Floats, vol: Floats, years: Floats, sign: Floats) -> tuple[Floats, ...]:
    """Price and four Greeks as one would write them, without care for edges or last digits."""
    root = np.sqrt(years)
    v = vol * root
    d1 = np.log(forward / strike) / v + 0.5 * v
    cdf1, cdf2 = ndtr(sign * d1), ndtr(sign * (d1 - v))
    density = np.exp(-0.5 * d1 * d1) * 0.3989422804014327
    gamma, vega = density / (forward * v), forward * density * root
    return sign * (forward * cdf1 - strike * cdf2), sign * cdf1, gamma, vega, -0.5 * forward * density * vol / root


def works() -> list[Work]:
    """A million options on all processors, and a thousand on one."""
    pool = ThreadPoolExecutor(THREADS)
    return [_five(pool), _eleven(pool), _thousand()]


def _five(pool: ThreadPoolExecutor) -> Work:
    columns, out = options(MILLION), np.empty((5, MILLION))

    def ours(i: int, j: int) -> None:
        black.price_greeks(*(column[i:j] for column in columns), *(row[i:j] for row in out))

    contenders = [
        local(f"flatbook, {THREADS} threads", lambda: for_slices(pool, THREADS, MILLION, ours)),
        _c_five(columns, lambda task: for_slices(pool, THREADS, MILLION, task), f"C with AVX-512, {THREADS} threads"),
        remote("JAX", "jax_black", dict(zip(NAMES, columns, strict=True))),
        remote("JAX, erfc by hand", "jax_black_erfc", dict(zip(NAMES, columns, strict=True))),
        local("numpy and scipy", lambda: textbook(*columns)),
    ]
    bars = [Bar(contenders[1].name, 0.8), Bar("JAX", 10.0), Bar("numpy and scipy", 15.0)]
    return Work("Black price and 4 Greeks, a million options", contenders, MILLION, bars=bars)


def _eleven(pool: ThreadPoolExecutor) -> Work:
    columns, out = options(MILLION), np.empty((11, MILLION))
    forward, strike, vol, years, sign = columns
    name = f"C with AVX-512, {THREADS} threads"
    contenders = [
        local(
            f"flatbook, {THREADS} threads",
            lambda: for_slices(
                pool, THREADS, MILLION, lambda i, j: black.price_full_part(forward, strike, vol, years, sign, i, j, out)
            ),
        ),
        _c_eleven(columns, lambda task: for_slices(pool, THREADS, MILLION, task), name),
        remote("JAX", "jax_black_full", dict(zip(NAMES, columns, strict=True))),
        local("the plain twin", lambda: black_plain.price_full(forward, strike, vol, years, sign, out)),
    ]
    return Work("Black price and 10 Greeks, a million options", contenders, MILLION, bars=[Bar(name, 0.75)])


def _thousand() -> Work:
    columns, out = options(THOUSAND), np.empty((5, THOUSAND))
    contenders = [
        local("flatbook, serial", lambda: black.price_greeks(*columns, *out)),
        _c_five(columns, lambda task: task(0, THOUSAND), "C with AVX-512, serial"),
        remote("JAX", "jax_black", dict(zip(NAMES, columns, strict=True))),
        local("numpy and scipy", lambda: textbook(*columns)),
    ]
    bars = [Bar("C with AVX-512, serial", 1.0 / 1.3)]
    return Work("Black price and 4 Greeks, a thousand options in one call", contenders, THOUSAND, "us", bars)


Spread = Callable[[Callable[[int, int], None]], None]


def _c_five(columns: list[Floats], spread: Spread, name: str) -> Contender:
    out = np.empty((5, columns[0].size))
    try:
        library = black_avx512()
    except MissingPeerError as error:
        return Contender(name, None, f"absent: {error}")

    begin = Addresses(*columns, *out)

    def task(i: int, j: int) -> None:
        library.price_greeks(*begin.at(i), j - i)

    return local(name, lambda: spread(task))


def _c_eleven(columns: list[Floats], spread: Spread, name: str) -> Contender:
    n = columns[0].size
    out = np.empty((11, n))
    try:
        library = black_avx512()
    except MissingPeerError as error:
        return Contender(name, None, f"absent: {error}")

    begin = Addresses(*columns, out)

    def task(i: int, j: int) -> None:
        library.price_full(*begin.at(i), n, j - i)

    return local(name, lambda: spread(task))
