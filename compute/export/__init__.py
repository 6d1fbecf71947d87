"""A result on disk, written by the workers: Zarr, one COG a season, and a picture."""

from compute.export.cog import write_cogs
from compute.export.output_folder import check_output_folder, results_in, staged, writing
from compute.export.quicklook import write_quicklook
from compute.export.zarr_export import finish_zarr, write_zarr

__all__ = [
    "check_output_folder",
    "finish_zarr",
    "results_in",
    "staged",
    "write_cogs",
    "write_quicklook",
    "write_zarr",
    "writing",
]
