"""Result of a computation: season stack, layers, NDVI classes, and the store of its blocks."""
