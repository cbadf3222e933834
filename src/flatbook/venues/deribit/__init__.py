"""Deribit: its contract families and fees as dated data."""

import tomllib
from importlib import resources

from flatbook.domain.reference import ReferenceData


def load_reference() -> ReferenceData:
    """The contract families of `contracts.toml`, as of its dates."""
    text = resources.files(__name__).joinpath("contracts.toml").read_text(encoding="utf-8")
    return ReferenceData.from_table(tomllib.loads(text))


def cheaper_side_discount() -> float:
    """By how much a combo's cheaper side, its buys or its sells, is reduced in fees: see `combos.toml`."""
    text = resources.files(__name__).joinpath("combos.toml").read_text(encoding="utf-8")
    return float(tomllib.loads(text)["cheaper_side_discount"])
