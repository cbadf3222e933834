"""Elementary functions without branches or calls, so that LLVM vectorises the loops that use them.

numba's wheels carry no vector mathematics library: a call to exp, log or erf stays scalar and stops vectorisation.
Everything here is arithmetic on doubles and on their bits. Polynomials are evaluated in pairs: the loops are bound by
latency, and short chains leave more of them in flight. Errors are relative, against 60-digit arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from flatbook.kernels.jit import HAVE_NUMBA, inlined

if HAVE_NUMBA:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

INV_SQRT_2PI: Final = 1.0 / math.sqrt(2.0 * math.pi)
LOG_SQRT_2PI: Final = 0.5 * math.log(2.0 * math.pi)

MILLS_FROM: Final = -0.05
"""Where the Mills ratio's approximation begins."""

_MAGNITUDE: Final = np.int64(2**63 - 1)
"""A float's bits but for its sign."""

# (e^r - 1 - r)/r^2 on |r| <= ln(2)/2, minimax to 3e-18.
_EXP: Final = (
    0.50000000000000127231,
    0.16666666666666699219,
    0.041666666666515543486,
    0.008333333333307124301,
    0.0013888888946992098284,
    0.00019841269917526019394,
    0.000024801489958980627963,
    2.7557216195626160054e-6,
    2.7631276583518611062e-7,
    2.5117889117033942681e-8,
)

# (ln((1 + z)/(1 - z)) - 2 z)/z^3 in z^2 on |z| <= 0.2005, minimax to 2e-19.
_LOG: Final = (
    0.6666666666666659449,
    0.40000000000057960938,
    0.28571428555528539988,
    0.22222224329516759276,
    0.1818166393569378364,
    0.1539117426545212179,
    0.13172566006933084107,
    0.13849953170818821385,
)

# M(x) = N(-x)/n(x) = _P(x)/_Q(x) on [-0.05, 39.5], where n(x) has reached zero: Remez to 6.5e-17.
_P: Final = (
    1.2533141373155003,
    1.9378605728301295,
    1.4824573897499809,
    0.7204505973569858,
    0.24270145806496862,
    0.058528692338670876,
    0.01010188729174905,
    0.001207272031325283,
    9.132140517771462e-05,
    3.378008183805254e-06,
)
_Q: Final = (
    1.0,
    2.344073592852625,
    2.553129992452443,
    1.7058641349932728,
    0.7765987825708552,
    0.2526206901646311,
    0.05972920880472968,
    0.010193208685035555,
    0.0012106500397211972,
    9.132140517544233e-05,
    3.3780081838162156e-06,
)

_MAGIC: Final = 6755399441055744.0  # 1.5 x 2^52: adding it rounds to an integer in the low bits
_MAGIC_BITS: Final = int(np.float64(_MAGIC).view(np.int64))
_HALF_OCTAVE: Final = 1 << 51
_LOG2_E: Final = 1.4426950408889634
_LN2_HI: Final = 0.6931471803691238  # 32 bits, so that n x _LN2_HI is exact
_LN2_LO: Final = 1.9082149292705877e-10
_LEAST_EXPONENT: Final = -708.0


def _bitcast(source: Any, target: Any, width: Any) -> Any:
    def typed(typingctx: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.bitcast(args[0], width)

        return target(source), generate

    return intrinsic(typed)


if HAVE_NUMBA:
    bits_of: Callable[[float], int] = _bitcast(types.float64, types.int64, ir.IntType(64))
    from_bits: Callable[[int], float] = _bitcast(types.int64, types.float64, ir.DoubleType())


@inlined
def exp_negative(y: float) -> float:
    """e^y for y <= 0, to 1.5e-16; below -708 it stays at e^-708 = 3e-308."""
    y = max(y, _LEAST_EXPONENT)
    shifted = y * _LOG2_E + _MAGIC
    n = shifted - _MAGIC
    r = (y - n * _LN2_HI) - n * _LN2_LO
    r2 = r * r
    r4 = r2 * r2
    low = (_EXP[3] * r + _EXP[2]) * r2 + (_EXP[1] * r + _EXP[0])
    middle = (_EXP[7] * r + _EXP[6]) * r2 + (_EXP[5] * r + _EXP[4])
    p = ((_EXP[9] * r + _EXP[8]) * r4 + middle) * r4 + low
    return from_bits(bits_of(1.0 + (r + r2 * p)) + (bits_of(shifted) << 52))


@inlined
def log_ratio(over: float, under: float) -> float:
    """ln(over/under) of positive normal numbers, to 5e-16 also where the two are neighbours; exactly 0 where equal."""
    octaves = (bits_of(over) - bits_of(under) + _HALF_OCTAVE) >> 52
    level = from_bits(bits_of(under) + (octaves << 52))  # under, moved within a factor 1.5 of over
    n = from_bits(_MAGIC_BITS + octaves) - _MAGIC
    z = (over - level) / (over + level)
    u = z * z
    u2 = u * u
    low = (_LOG[3] * u + _LOG[2]) * u2 + (_LOG[1] * u + _LOG[0])
    q = ((_LOG[7] * u + _LOG[6]) * u2 + (_LOG[5] * u + _LOG[4])) * (u2 * u2) + low
    return n * _LN2_HI + (n * _LN2_LO + (2.0 * z + z * u * q))


@inlined
def log_above_one(x: float) -> float:
    """ln(1 + x) of x >= 0, to 1e-15 also where x is small: what 1 + x loses is put back in proportion."""
    over = 1.0 + x
    kept = over - 1.0
    return log_ratio(over, 1.0) * (x / kept) if kept > 0.0 else x


@inlined
def mills_terms(x: float, far: float) -> tuple[float, float, float, float]:
    """P(x), Q(x) of the Mills ratio M = P/Q and their divided differences P[x, far], Q[x, far]; -0.05 <= x <= far.

    P(far) = P(x) + h P[x, far] with h = far - x, and M(x) - M(far) = h (P Q[] - P[] Q)/(Q(x) Q(far)): the difference
    of two near ratios keeps its digits, for all coefficients are positive.
    """
    p, dp = _P[9] * x + _P[8], _P[9]
    dp, p = dp * far + p, p * x + _P[7]
    dp, p = dp * far + p, p * x + _P[6]
    dp, p = dp * far + p, p * x + _P[5]
    dp, p = dp * far + p, p * x + _P[4]
    dp, p = dp * far + p, p * x + _P[3]
    dp, p = dp * far + p, p * x + _P[2]
    dp, p = dp * far + p, p * x + _P[1]
    dp, p = dp * far + p, p * x + _P[0]
    q, dq = _Q[10] * x + _Q[9], _Q[10]
    dq, q = dq * far + q, q * x + _Q[8]
    dq, q = dq * far + q, q * x + _Q[7]
    dq, q = dq * far + q, q * x + _Q[6]
    dq, q = dq * far + q, q * x + _Q[5]
    dq, q = dq * far + q, q * x + _Q[4]
    dq, q = dq * far + q, q * x + _Q[3]
    dq, q = dq * far + q, q * x + _Q[2]
    dq, q = dq * far + q, q * x + _Q[1]
    dq, q = dq * far + q, q * x + _Q[0]
    return p, q, dp, dq


@inlined
def largest(values: Any) -> float:
    """The largest magnitude of some numbers, 0 of none.

    By their bits, which are in the same order: a maximum of floats does not vectorise.
    """
    bits, most = values.view(np.int64), np.int64(0)
    for i in range(bits.size):
        most = max(most, bits[i] & _MAGNITUDE)
    return float(np.array([most]).view(np.float64)[0])
