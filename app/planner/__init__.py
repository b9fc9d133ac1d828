"""What to run a model on: search over devices, counts, layouts and formats, ranking, launch commands."""
