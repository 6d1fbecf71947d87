"""Export of a result: a Zarr group and one COG per layer and season, written by the workers, and a PNG quicklook."""

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
