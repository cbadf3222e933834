"""How numba links a kernel: with helpers of its own.

As numba links them, kernels share every helper that is no part of their loops, and the one that is loaded first lends
its copy to the others. Copies are optimised among other code, to other roundings; so a program that has just compiled
its kernels would not end on the same bytes as one that loads them, nor two that load them in another order.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding as llvm
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import LoweringPass, register_pass
from numba.core.typed_passes import AnnotateTypes


@register_pass(mutates_CFG=False, analysis_only=False)  # type: ignore[no-untyped-call]
class OwnHelpers(LoweringPass):
    """Makes what is linked into a kernel private to it, before it is optimised."""

    _name = "own_helpers"

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def run_pass(self, state: Any) -> bool:
        """Make the library that numba's lowering would make, and change how it ends."""
        library = state.library = state.targetctx.codegen().create_library(state.func_id.func_qualname)
        library.enable_object_caching()
        optimize = getattr(library, "_optimize_final_module", None)
        if optimize is None:
            raise ImportError("numba links kernels otherwise: this flatbook needs another numba version")

        def own_and_optimize() -> None:
            for function in library._final_module.functions:
                if function.linkage is llvm.Linkage.linkonce_odr:
                    function.linkage = llvm.Linkage.internal
            optimize()

        library._optimize_final_module = own_and_optimize
        return True


class KernelCompiler(Compiler):
    """numba's passes, and `OwnHelpers` among them."""

    def define_pipelines(self) -> list[Any]:
        """See numba."""
        (passes,) = super().define_pipelines()  # type: ignore[no-untyped-call]
        passes.add_pass_after(OwnHelpers, AnnotateTypes)
        passes.finalize()
        return [passes]
