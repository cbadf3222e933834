"""Implied vol of a million options, against Jaeckel's C++ and py_vollib_vectorized."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from bench.black import MILLION, THREADS, options
from bench.measure import Bar, Contender, Work, local
from bench.peers.native import Addresses, MissingPeerError, jaeckel
from bench.peers.remote import remote
from flatbook.kernels import black, implied, implied_plain
from flatbook.kernels.parallel import for_slices

Floats = NDArray[np.float64]

PLAIN_ROWS = 50_000


def works() -> list[Work]:
    """Out-of-the-money options to four standard deviations, where quotes are."""
    pool = ThreadPoolExecutor(THREADS)
    forward, strike, vol, years, _ = options(MILLION)
    sign = np.where(strike > forward, 1.0, -1.0)
    price = black.black(forward, strike, vol, years, sign).price
    inputs = [price, forward, strike, years, sign]
    found, reason = np.empty(MILLION), np.empty(MILLION, dtype=np.int8)

    def ours(i: int, j: int) -> None:
        part = slice(i, j)
        implied.implied_vol(
            price[part], forward[part], strike[part], years[part], sign[part], found[part], reason[part]
        )

    def plain() -> None:
        part = slice(0, PLAIN_ROWS)
        implied_plain.implied_vol(
            price[part], forward[part], strike[part], years[part], sign[part], found[part], reason[part]
        )

    names = ("price", "forward", "strike", "years", "sign")
    contenders = [
        local(f"flatbook, {THREADS} threads", lambda: for_slices(pool, THREADS, MILLION, ours)),
        _jaeckel(inputs, pool),
        remote("py_vollib_vectorized", "vollib_implied", dict(zip(names, inputs, strict=True))),
        _scaled(local("the plain twin", plain), MILLION / PLAIN_ROWS),
    ]
    bars = [Bar(contenders[1].name, 10.0), Bar("py_vollib_vectorized", 30.0)]
    return [Work("implied vol, a million options", contenders, MILLION, bars=bars)]


def _jaeckel(inputs: list[Floats], pool: ThreadPoolExecutor) -> Contender:
    name = f"Jaeckel's C++, {THREADS} threads"
    out = np.empty(MILLION)
    try:
        library = jaeckel()
    except MissingPeerError as error:
        return Contender(name, None, f"absent: {error}")

    begin = Addresses(*inputs, out)

    def task(i: int, j: int) -> None:
        library.implied_vols(*begin.at(i), j - i)

    return local(name, lambda: for_slices(pool, THREADS, MILLION, task))


def _scaled(contender: Contender, factor: float) -> Contender:
    """A contender timed on a sample, told for the whole."""
    turn = contender.turn
    assert turn is not None
    return Contender(contender.name, lambda: factor * turn())
