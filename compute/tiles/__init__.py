"""Tiles and pixel values of a result, complete or not, from its workers or its store.

Values are int16 (`compute.engine.overview_levels.LAYER_ENCODING`) with codes such as `compute.kernels.NEVER_CLEAR`.
Nothing is imported here: a worker loads `compute.tiles.tile_patches` without the libraries of the other modules
(dask.array, Zarr), and only `compute.tiles.styles` imports Datashader.
"""
