"""Contracts over the counter: instruments by a name of their own, since no venue's name says what they are.

What they pay is `flatbook.valuation.otc`'s to say; here is what the books need: whose money, how finely, until when.
"""

import re
from decimal import Decimal

from flatbook.domain.errors import BadInputError, UnknownInstrumentError
from flatbook.domain.instruments import ContractName, Kind, parse_name
from flatbook.domain.reference import ContractSpec, Fees, Instrument, TickSteps
from flatbook.domain.units import DECIMALS

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NO_FEES = Fees(Decimal(0), Decimal(0), Decimal(0))

DEFAULT_LOT = Decimal("0.01")
"""Of contracts, where the terms say nothing else."""


def otc_instrument(name: str, underlying: str, settle: str, expiry_ns: int, lot: Decimal = DEFAULT_LOT) -> Instrument:
    """A contract on `underlying` that is paid for and pays in `settle`: the coin itself, or a currency of dollars.

    Its tick is the smallest unit of `settle` over the lot, so that a tick-lot is one unit and money is exact.

    Errors      BadInputError for a name that is none or is a venue's, an unknown currency, a lot that is no power of
                ten
    """
    if not _NAME.fullmatch(name):
        raise BadInputError(f"name {name!r} is none; use letters, digits, dots, dashes and underscores")
    if _is_listed(name):
        raise BadInputError(f"name {name!r} is that of a listed contract; give one over the counter another")
    if settle not in DECIMALS:
        raise BadInputError(f"{name}: settles in {settle!r}; known are {', '.join(DECIMALS)}")
    if not (lot.is_finite() and lot.normalize().as_tuple().digits == (1,) and lot > 0):
        raise BadInputError(f"{name}: a lot of {lot} contracts; give a power of ten, such as 0.01")
    tick = Decimal(1).scaleb(-DECIMALS[settle]) / lot
    quote = "USD" if settle == underlying else settle
    contract = ContractName(Kind.OTC, underlying, quote, settle, expiry_ns)
    return Instrument(name, contract, ContractSpec(TickSteps(tick), lot, _NO_FEES, 0, "the terms of the trade"))


def _is_listed(name: str) -> bool:
    try:
        parse_name(name)
    except UnknownInstrumentError:
        return False
    return True
