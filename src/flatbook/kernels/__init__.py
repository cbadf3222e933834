"""Numerical kernels: arrays in, arrays out, compiled by numba, each with a plain numpy twin.

They know no finance types, allocate nothing per row and raise nothing inside their loops: a row outside a kernel's
domain gets NaN or a reason code, and its neighbours are untouched.
"""
