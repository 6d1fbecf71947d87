"""State of the request: fields of the form, its estimate, and its refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import param

from compute.errors import InputError
from compute.request import NdviRequest, RequestField, field_table
from compute.request.drafts import draft_request
from dashboard.state.parameters import ConcernState


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """Entry of a form field that the request does not accept.

    Attributes
    ----------
    text : str
        The entry as typed.
    refusal : mapping of str to str
        ``field`` and ``message`` of the refusal.
    """

    text: str
    refusal: Mapping[str, str]


class RequestState(ConcernState):
    """The request that the form edits, with its estimate."""

    region = param.Dict(default=None, allow_None=True, doc="GeoJSON geometry in longitude and latitude.")
    region_text = param.String(doc="W,S,E,N or GeoJSON, as typed or pasted.")
    region_file = param.Bytes(default=None, allow_None=True, doc="Content of an uploaded region file, until parsed.")
    start = param.CalendarDate(default=date(2020, 12, 1), doc="First day, included.")
    end = param.CalendarDate(default=date(2021, 11, 30), doc="Last day, included.")
    product = param.String(default=None, allow_None=True, doc="ODC product; None until one is chosen.")
    products = param.List(default=[], item_type=str, doc="Products to choose from.")
    initial_bbox = param.Tuple(
        default=None, length=4, allow_None=True, doc="W,S,E,N of the product's scenes, which the map shows at first."
    )
    draft = param.ClassSelector(
        class_=NdviRequest,
        default=draft_request(),
        instantiate=False,
        doc="All other fields of the request; its products, region and dates are replaced by those above.",
    )
    rejected = param.Dict(default={}, doc="`Rejected` entry by name of a field that cannot be accepted.")

    estimate = param.Dict(default=None, allow_None=True, doc="Summary of the plan; None before there is one.")
    estimate_token = param.String(doc="Token of the job that Compute would start or join; empty without an estimate.")
    estimating = param.Boolean(default=False, doc="Whether an estimate is under way.")
    refusal = param.Dict(default=None, allow_None=True, doc="Field and message of a refusal; None for none.")

    draw_box = param.Event(doc="Draw a box on the map.")
    clear_region = param.Event(doc="Remove the region.")
    compute = param.Event(doc="Submit the request.")

    @property
    def fields(self) -> tuple[RequestField, ...]:
        """Optional fields that a user can set in the form, in the order of the request's table."""
        offered = (each for each in field_table(type(self.draft)) if each.setter == "user")
        return tuple(each for each in offered if not each.is_required)

    @property
    def changed_fields(self) -> tuple[RequestField, ...]:
        """Optional fields that differ from their defaults or have a rejected entry, in the form or not."""
        optional = (each for each in field_table(type(self.draft)) if not each.is_required)
        return tuple(
            each for each in optional if each.name in self.rejected or each.value_in(self.draft) != each.default
        )

    def enter_value(self, each: RequestField, entry: str | bool) -> None:
        """Replace one field of the draft, or store the entry in `rejected` if the request does not accept it.

        Parameters
        ----------
        each : RequestField
            The field.
        entry : str or bool
            Text as typed, or the value of a checkbox. An empty text selects the default.
        """
        others = {name: rejected for name, rejected in self.rejected.items() if name != each.name}
        try:
            draft = each.replace_in(self.draft, _parse(each, entry))
        except InputError as error:
            rejected = Rejected(text=str(entry), refusal={"field": error.field, "message": str(error)})
            self.update(rejected=others | {each.name: rejected})
        else:
            self.update(draft=draft, rejected=others)

    def reset_fields(self, *kept: RequestField) -> None:
        """Reset all fields of the draft to their defaults, except the given ones, and discard rejected entries."""
        draft = draft_request(type(self.draft))
        for each in kept:
            draft = each.replace_in(draft, each.value_in(self.draft))
        self.update(draft=draft, rejected={})


def _parse(each: RequestField, entry: str | bool) -> Any:
    if isinstance(entry, bool):
        return entry
    # A browser may send half a surrogate pair, which cannot be encoded in a query string.
    text = entry.strip().encode(errors="replace").decode()
    return each.kind.parse(text, each.option) if text else None
