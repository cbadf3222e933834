"""Deribit: its contract families and fees as dated data."""

import tomllib
from importlib import resources

from flatbook.domain.reference import ReferenceData


def load_reference() -> ReferenceData:
    """The contract families of `contracts.toml`, as of its dates."""
    text = resources.files(__name__).joinpath("contracts.toml").read_text(encoding="utf-8")
    return ReferenceData.from_table(tomllib.loads(text))
