"""The graph of the shown variant: a canvas of its own, painted with culling and level of detail."""
