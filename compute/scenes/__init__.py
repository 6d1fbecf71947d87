"""Scenes: the record of one dataset that plans and tasks carry, and the geometry of its pixel grids."""

from compute.scenes.scene import Band, Grid, Property, Scene, Source, UnreadScene, names_processing, one_each

__all__ = ["Band", "Grid", "Property", "Scene", "Source", "UnreadScene", "names_processing", "one_each"]
