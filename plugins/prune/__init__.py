"""Magnitude pruning of single weights."""
