"""One running computation: block submission, block order, fairness, checkpoints, preview and season summary."""
