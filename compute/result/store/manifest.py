"""Manifest of a checkpoint: owner, plan and state, from which the checkpoint can be opened."""

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
"""Pattern of the names of block stores in the folder of a checkpoint."""

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
    """Manifest of a result: all information except the blocks.

    Attributes
    ----------
    token : str
        Identity of the computation.
    scope : str
        Scope of the owner.
    plan : NdviPlan
        Plan of the result.
    store : str
        Name of the block store in the folder. It differs between runs, so that blocks of two runs are never mixed.
    created : datetime.datetime
        Time of creation, UTC.
    state : str
        ``done`` if all blocks are in the store, else ``unfinished``.
    engine : str
        Number format; see `compute.result.number_format`.
    """

    token: str
    scope: str
    plan: NdviPlan
    store: str
    created: datetime
    state: StoreState = "unfinished"
    engine: str = NUMBER_FORMAT

    def write(self, url: str) -> None:
        """Write the manifest to the folder of a checkpoint, replacing an earlier one.

        Raises
        ------
        OSError
            The folder cannot be written.
        """
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
        """Read the manifest in the folder of a checkpoint; return None if the folder has none.

        Raises
        ------
        ResultGoneError
            The manifest is damaged, or another version of Greenup wrote it.
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
