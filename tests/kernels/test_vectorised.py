import platform
from pathlib import Path

import pytest

from flatbook.kernels import black, implied, jit
from flatbook.kernels.jit import Registered


def avx512() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return platform.machine() == "x86_64" and cpuinfo.exists() and "avx512dq" in cpuinfo.read_text()


def entry_of(kernel: object) -> Registered:
    return next(entry for entry in jit.registered() if entry.dispatcher is kernel)


@pytest.mark.skipif(not jit.HAVE_NUMBA, reason="no numba here: there is no machine code to inspect")
@pytest.mark.skipif(not avx512(), reason="no AVX-512 on this processor")
@pytest.mark.parametrize(
    ("kernel", "least"),
    [(black.price_greeks, 60), (black.price_full_part, 60), (black.price_chain, 50), (implied.implied_vol, 120)],
    ids=["price_greeks", "price_full_part", "price_chain", "implied_vol"],
)
def test_the_loop_is_in_512_bit_registers(kernel: object, least: int) -> None:
    assembly = jit.assembly(entry_of(kernel))
    packed = [line for line in assembly.splitlines() if "zmm" in line]
    assert sum("vfm" in line or "vfnm" in line for line in packed) >= least
    assert any("vdivpd" in line for line in packed)
    assert any("vsqrtpd" in line for line in packed)
    assert not any(call in assembly for call in ("exp@", "log@", "erf@", "erfc@"))
