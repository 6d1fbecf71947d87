"""One running computation: block submission, block order, fair queue, checkpoints, preview and season summary."""
