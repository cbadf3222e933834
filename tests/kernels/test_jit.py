import subprocess
import sys

import numpy as np
import pytest

from flatbook.kernels import jit
from flatbook.kernels.warm import warm

needs_numba = pytest.mark.skipif(not jit.HAVE_NUMBA, reason="numba has no wheel here; the plain twins serve")


@needs_numba
def test_importing_kernels_compiles_nothing() -> None:
    script = (
        "import numba.core.event as ev\n"
        "with ev.install_recorder('numba:compile') as seen:\n"
        "    import flatbook.kernels.black\n"
        "print(len(seen.buffer))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "0"


@needs_numba
def test_a_catch_up_loop_does_not_kill_the_process() -> None:
    # LLVM turns this loop into a 128-bit division that only libgcc resolves.
    script = (
        "import numpy as np, numba\n"
        "import flatbook.kernels.jit\n"
        "@numba.njit\n"
        "def catch_up(ts, step):\n"
        "    nxt = ts[0]\n"
        "    for e in range(ts.size):\n"
        "        while ts[e] >= nxt:\n"
        "            nxt += step\n"
        "    return nxt\n"
        "print(catch_up(np.array([0, 10, 35]), 10))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "40"), run.stderr


@needs_numba
@pytest.mark.slow
def test_warm_names_every_kernel_and_then_refuses_to_compile() -> None:
    script = (
        "import numpy as np\n"
        "from flatbook.kernels import black\n"
        "from flatbook.kernels.warm import warm\n"
        "seen = []\n"
        "warm(seen.append)\n"
        "assert 'flatbook.kernels.black.price_greeks' in seen, seen\n"
        "row = np.ones(3)\n"
        "frozen = np.ones(3)\n"
        "frozen.flags.writeable = False\n"
        "out = [np.empty(3) for _ in range(5)]\n"
        "black.price_greeks(frozen, row, row, frozen, row, *out)\n"
        "try:\n"
        "    black.price_greeks(row.astype('f4'), row, row, row, row, *out)\n"
        "except TypeError:\n"
        "    print('refused')\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "refused"), run.stderr


@needs_numba
def test_cached_code_is_keyed_by_the_whole_package() -> None:
    for entry in jit.registered():
        _, digest = entry.dispatcher._cache._cache_file._source_stamp
        assert digest == jit._package_digest()


@needs_numba
def test_a_kernel_shares_no_code_with_others() -> None:
    # Of code that several kernels share, each process would run the copy that it loaded first.
    script = (
        "from flatbook.kernels import jit\n"
        "from flatbook.kernels import quotes\n"
        "(entry,) = (entry for entry in jit.registered() if entry.name.endswith('.lower_bids'))\n"
        "code = jit.assembly(entry)\n"
        "print('NRT_' in code, '.weak' in code)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "True False"), run.stderr


def test_without_numba_everything_imports_and_prices() -> None:
    script = (
        "import sys, importlib, pkgutil\n"
        "sys.modules['numba'] = None\n"
        "import numpy as np\n"
        "import flatbook.kernels as kernels\n"
        "for module in pkgutil.iter_modules(kernels.__path__):\n"
        "    if module.name != 'linking':\n"
        "        importlib.import_module(f'flatbook.kernels.{module.name}')\n"
        "from flatbook.kernels import black, black_plain, jit, surface_joint, surface_joint_plain\n"
        "from flatbook.kernels.warm import warm\n"
        "warm(print)\n"
        "assert not jit.HAVE_NUMBA\n"
        "assert black.price_greeks is black_plain.price_greeks\n"
        "assert surface_joint.fit_surface is surface_joint_plain.fit_surface\n"
        "print(round(black.black(100.0, 100.0, 0.5, 0.25, 1.0).price, 6))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "9.947645"), run.stderr


@needs_numba
def test_without_a_writable_place_kernels_still_compile() -> None:
    script = (
        "import numba\n"
        "from numba.core import dispatcher\n"
        "def refuse(self):\n"
        "    raise RuntimeError('cannot cache function: no locator available')\n"
        "dispatcher.Dispatcher.enable_caching = refuse\n"
        "from flatbook.kernels import svi\n"
        "import numpy as np\n"
        "print(svi.durrleman_min(np.array([0.04, 0.1, 0.0, 0.0, 0.1]), -1.0, 1.0, 9) > 0.0)\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "True"), run.stderr


def test_without_numba_the_twin_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "HAVE_NUMBA", False)

    def twin(out: np.ndarray) -> None:
        out[:] = 2.0

    @jit.kernel(jit.Arg.OUT, plain=twin)
    def fast(out: np.ndarray) -> None:
        out[:] = 1.0

    assert fast is twin
    assert callable(warm)
