"""Statements about the minimalist model as values: formulas, predictions, and their check on one case.

The mathematics, with proofs, is in docs/theory; a module here is a section there.
"""
