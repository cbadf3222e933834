"""What the tests of the venue share."""

from flatbook.risk.margin.deribit_standard import DeribitStandard
from flatbook.venues.margin import editions


def _standard() -> DeribitStandard:
    model = editions("deribit_sm")[0].model
    assert isinstance(model, DeribitStandard)
    return model


STANDARD_MARGIN = _standard()
"""Its oldest edition: futures at 2 % and 1 %, and 0.005 % more a coin."""
