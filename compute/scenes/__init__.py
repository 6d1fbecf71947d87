"""Scenes: records of single datasets for plans and tasks, and the geometry of their pixel grids."""

from compute.scenes.scene import Band, Grid, Property, Scene, Source, UnreadScene, is_processing_property, unique_unread

__all__ = ["Band", "Grid", "Property", "Scene", "Source", "UnreadScene", "is_processing_property", "unique_unread"]
