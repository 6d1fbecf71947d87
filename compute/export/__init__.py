"""Export of a result by the workers: Zarr, one COG per season, and a PNG overview."""

from compute.export.cog import write_cogs
from compute.export.output_folder import check_output_folder, find_results, stage_output, translate_write_errors
from compute.export.quicklook import write_quicklook
from compute.export.zarr_export import finish_zarr, write_zarr

__all__ = [
    "check_output_folder",
    "find_results",
    "finish_zarr",
    "stage_output",
    "translate_write_errors",
    "write_cogs",
    "write_quicklook",
    "write_zarr",
]
