"""Runs inside the peers' environment: does named tasks on arrays from a file and tells the seconds each turn took.

Protocol, a JSON document a line: {"prepare": task, "key": key, "data": path.npz} answers {"ready": true} or
{"absent": reason}; {"turn": key} answers {"seconds": s}. Uses nothing of flatbook.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

# py_lets_be_rational compiles itself only on request.
os.environ.setdefault("PY_LETS_BE_RATIONAL_ENABLE_NUMBA", "1")

import numpy as np

Run = Callable[[], object]


def jax_black(data: Mapping[str, Any], outputs: int, *, by_erfc: bool = False) -> Run:
    """Black-76 by XLA, 5 or 11 outputs; as its library has the normal distribution, or with erfc by hand."""
    import jax  # type: ignore[import-not-found]
    import jax.numpy as jnp  # type: ignore[import-not-found]
    from jax.scipy.special import erfc  # type: ignore[import-not-found]
    from jax.scipy.stats import norm  # type: ignore[import-not-found]

    jax.config.update("jax_enable_x64", True)

    def price(f: Any, k: Any, vol: Any, years: Any, sign: Any) -> tuple[Any, ...]:
        root = jnp.sqrt(years)
        v = vol * root
        d1 = jnp.log(f / k) / v + 0.5 * v
        d2 = d1 - v
        if by_erfc:
            cdf1, cdf2 = 0.5 * erfc(-sign * d1 * 0.7071067811865476), 0.5 * erfc(-sign * d2 * 0.7071067811865476)
            density = 0.3989422804014327 * jnp.exp(-0.5 * d1 * d1)
        else:
            cdf1, cdf2, density = norm.cdf(sign * d1), norm.cdf(sign * d2), norm.pdf(d1)
        gamma, vega = density / (f * v), f * density * root
        five = (sign * (f * cdf1 - k * cdf2), sign * cdf1, gamma, vega, -0.5 * f * density * vol / root)
        if outputs == 5:
            return five
        product = d1 * d2
        return (
            *five,
            -density * d2 / vol,
            vega * product / vol,
            density * d2 / (2 * years),
            -gamma / f * (d1 / v + 1),
            gamma * (product - 1) / vol,
            gamma * (1 - product) / (2 * years),
        )

    compiled = jax.jit(price)
    inputs = [jnp.asarray(data[name]) for name in ("forward", "strike", "vol", "years", "sign")]
    return lambda: jax.block_until_ready(compiled(*inputs))


def vollib_implied(data: Mapping[str, Any]) -> Run:
    """Implied vol by py_vollib_vectorized."""
    from py_vollib_vectorized.implied_volatility import (  # type: ignore[import-not-found]
        vectorized_implied_volatility_black,
    )

    flag = np.where(data["sign"] > 0, "c", "p")
    price, forward, strike, years = (data[name] for name in ("price", "forward", "strike", "years"))
    return lambda: vectorized_implied_volatility_black(
        price, forward, strike, 0.0, years, flag, return_as="numpy", on_error="ignore"
    )


def hftbacktest_quotes(data: Mapping[str, Any]) -> Run:
    """Two quotes at the touch over a recorded book, by hftbacktest."""
    from hft_quoting import prepare as quotes  # type: ignore[import-not-found]

    return quotes(data)  # type: ignore[no-any-return]


TASKS: dict[str, Callable[[Mapping[str, Any]], Run]] = {
    "jax_black": lambda data: jax_black(data, 5),
    "jax_black_erfc": lambda data: jax_black(data, 5, by_erfc=True),
    "jax_black_full": lambda data: jax_black(data, 11),
    "vollib_implied": vollib_implied,
    "hftbacktest_quotes": hftbacktest_quotes,
}


def prepare(name: str, path: str) -> Callable[[], float]:
    """Set a task up, warm it, and find how many calls make a turn."""
    run = TASKS[name](np.load(path))
    run()
    start = time.perf_counter()
    run()
    calls = max(1, round(2e-3 / max(time.perf_counter() - start, 1e-9)))

    def turn() -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            run()
        return (time.perf_counter() - begin) / calls

    return turn


def main() -> None:
    """Answer questions until standard input ends."""
    turns: dict[str, Callable[[], float]] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        answer: dict[str, object]
        if "prepare" in asked:
            try:
                turns[asked["key"]] = prepare(asked["prepare"], asked["data"])
                answer = {"ready": True}
            except ImportError as error:
                answer = {"absent": str(error)}
        else:
            answer = {"seconds": turns[asked["turn"]]()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
