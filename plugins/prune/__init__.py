"""Pruning of single weights and of patterns of them."""
