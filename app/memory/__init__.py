"""How many bytes a model needs, on which rank and why: pure functions over an `Architecture`."""
