"""Output folder: a check that the workers share it, and replacement of its files once all are written."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from distributed import Client

from compute.errors import GreenupError, InputError, JobError, NotSharedError
from compute.result.layers import ARRAYS
from compute.result.store.shared_storage import check_shared

RESULTS = (
    "seasonal_ndvi.zarr",
    *(f"{layer}_*.tif" for layer in ARRAYS),
    "quicklook.png",
)
"""What a result consists of, as patterns of names."""


def results_in(folder: Path) -> list[Path]:
    """Return what a folder holds of a result, whole or in part."""
    return sorted(path for pattern in RESULTS for path in folder.glob(pattern))


async def check_output_folder(folder: Path, client: Client) -> None:
    """Refuse an output folder that this process or a worker cannot write, before anything is computed.

    Parameters
    ----------
    folder : pathlib.Path
        An existing folder.
    client : distributed.Client
        Asynchronous client.

    Raises
    ------
    InputError
        This process or a worker cannot write there, or a worker has a folder of its own by that name.
    """
    try:
        await check_shared(str(folder), client)
    except NotSharedError:
        raise InputError(
            "out", f"The folder {folder.name!r} is not one that all workers can write; give --out a shared one."
        ) from None
    except OSError:
        raise InputError("out", f"The folder {folder.name!r} cannot be written; give --out another.") from None


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Path]:
    """Give a scratch folder inside `folder`; when all is well its files take the place of an earlier result.

    Parameters
    ----------
    folder : pathlib.Path
        An existing folder.

    Yields
    ------
    pathlib.Path
        The scratch folder, gone in the end whatever happens.

    Raises
    ------
    JobError
        The result could not be written.
    """
    scratch = folder / f".unfinished-{secrets.token_hex(8)}"
    try:
        with writing():
            scratch.mkdir()
        yield scratch
        with writing():
            await asyncio.to_thread(_take_place, scratch, folder)
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


@contextmanager
def writing() -> Iterator[None]:
    """Turn whatever goes wrong while writing into one sentence without paths."""
    try:
        yield
    except GreenupError:
        raise
    except Exception as error:
        raise JobError(f"The result could not be written ({type(error).__name__}); check the folder's room.") from error


def _take_place(scratch: Path, folder: Path) -> None:
    for old in results_in(folder):
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
    for new in scratch.iterdir():
        new.rename(folder / new.name)
