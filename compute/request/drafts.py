"""Requests whose products, region or dates are not known yet."""

from __future__ import annotations

from typing import Any

from compute.request.field_values import FIRST_DAY
from compute.request.record import NdviRequest


def draft_request(record: type[NdviRequest] = NdviRequest, **attributes: Any) -> NdviRequest:
    """Return a request with placeholders for products, region and dates.

    Parameters
    ----------
    record : type
        Dataclass of the request.
    **attributes
        Attributes of the request that are known already.

    Raises
    ------
    InputError
        An attribute is invalid.
    """
    from compute.request.region import region_from_bbox

    globe = region_from_bbox(-180.0, -90.0, 180.0, 90.0)
    placeholders: dict[str, Any] = {"products": ("all",), "region": globe, "start": FIRST_DAY, "end": FIRST_DAY}
    return record(**(placeholders | attributes))
