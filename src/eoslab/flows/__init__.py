"""Continuous-time companions of gradient descent."""
