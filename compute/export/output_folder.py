"""Output folder: check that the workers share it, and replace an earlier result once all files are written."""

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
"""Name patterns of the files of a result."""


def find_results(folder: Path) -> list[Path]:
    """Return the files of a complete or partial result in a folder."""
    return sorted(path for pattern in RESULTS for path in folder.glob(pattern))


async def check_output_folder(folder: Path, client: Client) -> None:
    """Check, before a computation, that this process and all workers can write to the same output folder.

    Parameters
    ----------
    folder : pathlib.Path
        An existing folder.
    client : distributed.Client
        Asynchronous client.

    Raises
    ------
    InputError
        This process or a worker cannot write to the folder, or a worker has a different folder of that name.
    """
    try:
        await check_shared(str(folder), client)
    except NotSharedError:
        raise InputError(
            "out", f"The folder {folder.name!r} is not shared with all workers; give --out a shared one."
        ) from None
    except OSError:
        raise InputError("out", f"The folder {folder.name!r} cannot be written; give --out another.") from None


@asynccontextmanager
async def stage_output(folder: Path) -> AsyncIterator[Path]:
    """Yield a scratch folder; if the body succeeds, its files replace an earlier result.

    Parameters
    ----------
    folder : pathlib.Path
        An existing folder.

    Yields
    ------
    pathlib.Path
        Scratch folder inside `folder`, which is removed at the end in any case.

    Raises
    ------
    JobError
        The scratch folder could not be created, or its files could not be moved.
    """
    scratch = folder / f".unfinished-{secrets.token_hex(8)}"
    try:
        with translate_write_errors():
            scratch.mkdir()
        yield scratch
        with translate_write_errors():
            await asyncio.to_thread(_replace_results, scratch, folder)
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


@contextmanager
def translate_write_errors() -> Iterator[None]:
    """Convert exceptions of the body, except `GreenupError`, to a `JobError` whose message contains no paths."""
    try:
        yield
    except GreenupError:
        raise
    except Exception as error:
        raise JobError(
            f"The result could not be written ({type(error).__name__}); check the free space of the folder."
        ) from error


def _replace_results(scratch: Path, folder: Path) -> None:
    for old in find_results(folder):
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
    for new in scratch.iterdir():
        new.rename(folder / new.name)
