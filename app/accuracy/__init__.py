"""Our error on published measurements: the runs that others measured, predicted, and what was off by how much."""
