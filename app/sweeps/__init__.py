"""Grids of questions, up to millions of points: read as arrays where there are formulas for it, in parts."""
