"""The result of a computation: season stack, overview classes, and the store that keeps its blocks."""
