"""The Python face: the calculations as typed functions, over the same checks and services as HTTP."""
