"""Data types and quantization formats: what a parameter takes up, to the byte, scales included."""
