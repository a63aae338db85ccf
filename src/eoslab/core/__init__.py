"""What everything else stands on: vocabulary, errors, number-generic helpers, protocols, the catalog.

Standard library and NumPy only; knows nothing of the rest of the package.
"""
