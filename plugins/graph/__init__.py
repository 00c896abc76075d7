"""Graph optimizations that keep what the model computes."""
