"""Scenes: the record of one dataset that plans and tasks carry, and the geometry of its pixel grids."""

from compute.scenes.scene import Band, Grid, Property, Scene, Source, UnreadScene, is_processing_property, unique_unread

__all__ = ["Band", "Grid", "Property", "Scene", "Source", "UnreadScene", "is_processing_property", "unique_unread"]
