"""Lossless serialisation of a plan as compressed JSON."""

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
"""Compression level of gzip. Higher levels save little, since the addresses of files are repetitive."""


class _PlanDocument(RootModel[NdviPlan]):
    """JSON model of a plan: outlines are Base64, and limits of unbounded ranges are ``Infinity``."""

    model_config = ConfigDict(
        defer_build=True, ser_json_inf_nan="constants", ser_json_bytes="base64", val_json_bytes="base64"
    )


@cache
def _model() -> type[_PlanDocument]:
    """Return the model with the types of the request record resolved. Cached, since building it is slow."""
    _PlanDocument.model_rebuild(_types_namespace=annotation_types())
    return _PlanDocument


def plan_document(plan: NdviPlan) -> bytes:
    """Serialise a plan as gzip-compressed JSON; equal plans have equal bytes.

    Parameters
    ----------
    plan : NdviPlan
        Plan of any size. With thousands of scenes, this takes a second and the document has a few megabytes.
    """
    return gzip.compress(_model()(plan).model_dump_json().encode(), _EFFORT, mtime=0)


def plan_of(document: bytes) -> NdviPlan:
    """Deserialise a plan from a document of `plan_document`.

    Raises
    ------
    ResultGoneError
        The document is damaged, or another version of Greenup wrote it.
    """
    try:
        return _model().model_validate_json(gzip.decompress(document)).root
    except (EOFError, OSError, zlib.error, ValidationError, GreenupError) as error:
        raise ResultGoneError(UNREADABLE) from error
