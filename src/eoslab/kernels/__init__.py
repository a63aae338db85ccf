"""Compiled dynamics: the loops of this folder, specialised to a model and a rule and compiled by Numba."""
