"""Pruning of single weights, of patterns of them, and of whole blocks."""
