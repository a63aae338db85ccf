"""Statements about the minimalist model as running code, and the one classifier of phases, events and regimes."""
