"""Tiles and pixel values of a result, complete or not, from workers or from a store.

Values are int16 (`compute.engine.overview_levels.LAYER_ENCODING`) with codes such as `compute.kernels.NEVER_CLEAR`.
This package imports no modules, so that workers can import `compute.tiles.tile_patches` without the libraries of the
other modules (dask.array, Zarr). Only `compute.tiles.styles` imports Datashader.
"""
