"""Blocks that families compose: each states its forward pass once, on symbolic tensors."""
