"""Benchmarks: one module a hot path, every claim a ratio to a peer in the same run.

`python -m bench` runs all, `python -m bench black svi` some, `--json` prints one document. A module of this package
that has a function `works() -> list[Work]` is a benchmark. Contenders take turns, so that a busy neighbour slows all
alike: read the ratios, not the times.

Peers that are not requirements of flatbook live in their own environment, `.benchmarks/peers`, made by
`python -m bench.peers.setup`; without it, or without a C compiler or AVX-512, their rows say why they are missing.
"""
