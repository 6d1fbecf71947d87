"""Serialisation of a plan as compressed JSON, without loss of a bit."""

from __future__ import annotations

import gzip
import zlib
from functools import cache

from pydantic import ConfigDict, RootModel, ValidationError

from compute.errors import GreenupError, ResultGoneError
from compute.plan.work_plan import NdviPlan
from compute.request.record import annotation_types

UNREADABLE = (
    "This result was made by another version of Greenup, or is damaged, and cannot be opened here; compute it again."
)

_EFFORT = 6
"""Compression level of gzip. Addresses repeat, so that higher levels gain little."""


class _PlanDocument(RootModel[NdviPlan]):
    """JSON model of a plan: outlines as Base64, unbounded ranges as ``Infinity``."""

    model_config = ConfigDict(
        defer_build=True, ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64"
    )


@cache
def _model() -> type[_PlanDocument]:
    """Return the model, whose building takes a while, once the types of the request record are known to it."""
    _PlanDocument.model_rebuild(_types_namespace=annotation_types())
    return _PlanDocument


def plan_document(plan: NdviPlan) -> bytes:
    """Return a plan as gzipped JSON; equal plans give equal bytes.

    Parameters
    ----------
    plan : NdviPlan
        Plan of any size; thousands of scenes take a second and a few megabytes.
    """
    return gzip.compress(_model()(plan).model_dump_json().encode(), _EFFORT, mtime=0)


def plan_of(document: bytes) -> NdviPlan:
    """Return the plan of a document from `plan_document`.

    Raises
    ------
    ResultGoneError
        The document is damaged, or another version of Greenup wrote it.
    """
    try:
        return _model().model_validate_json(gzip.decompress(document)).root
    except (EOFError, OSError, zlib.error, ValidationError, GreenupError) as error:
        raise ResultGoneError(UNREADABLE) from error
