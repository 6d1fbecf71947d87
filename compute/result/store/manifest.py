"""Manifest of a checkpoint: owner, plan and state; all that opening it needs."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from compute.errors import ResultGoneError
from compute.plan import UNREADABLE, NdviPlan, plan_document, plan_of
from compute.result.number_format import NUMBER_FORMAT
from compute.result.store.object_files import read_object, write_object

MANIFEST = "manifest.json"
"""Name of the manifest in the folder of a checkpoint."""

STORE_NAME = re.compile(r"ndvi-[0-9a-f]{8}\.zarr")
"""Names of block stores beside it."""

_FORMAT = 1

StoreState = Literal["unfinished", "done"]


class _ManifestDocument(BaseModel):
    format: Annotated[int, Field(ge=_FORMAT, le=_FORMAT)] = _FORMAT
    engine: str
    token: str
    scope: str
    store: Annotated[str, Field(pattern=STORE_NAME)]
    created: AwareDatetime
    state: StoreState
    plan: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Manifest of a result: everything except its blocks.

    Attributes
    ----------
    token : str
        Identity of the computation.
    scope : str
        Scope of the owner.
    plan : NdviPlan
        Plan of the result.
    store : str
        Name of the block store in the folder, different for each run so that two runs never mix.
    created : datetime.datetime
        Time of creation, UTC.
    state : str
        ``done`` once all blocks are in the store, else ``unfinished``.
    engine : str
        Number format, see `compute.result.number_format`.
    """

    token: str
    scope: str
    plan: NdviPlan
    store: str
    created: datetime
    state: StoreState = "unfinished"
    engine: str = NUMBER_FORMAT

    def write(self, url: str) -> None:
        """Write the manifest to the folder of a checkpoint, replacing an earlier one; raises OSError."""
        document = _ManifestDocument(
            engine=self.engine,
            token=self.token,
            scope=self.scope,
            store=self.store,
            created=self.created,
            state=self.state,
            plan=base64.b64encode(plan_document(self.plan)).decode(),
        )
        write_object(f"{url}/{MANIFEST}", document.model_dump_json(indent=1).encode(), sync=True)

    @classmethod
    def read(cls, url: str) -> Manifest | None:
        """Return the manifest in the folder of a checkpoint, None where there is none.

        Raises
        ------
        ResultGoneError
            It is damaged, or another version of Greenup wrote it.
        OSError
            The folder cannot be reached.
        """
        content = read_object(f"{url}/{MANIFEST}")
        if content is None:
            return None
        try:
            document = _ManifestDocument.model_validate_json(content)
            plan = plan_of(base64.b64decode(document.plan, validate=True))
        except ValueError as error:
            raise ResultGoneError(UNREADABLE) from error
        return cls(
            token=document.token,
            scope=document.scope,
            plan=plan,
            store=document.store,
            created=document.created.astimezone(UTC),
            state=document.state,
            engine=document.engine,
        )
