"""A graph as a picture: blocks to collapse, places of nodes and edges; arrays, so that 10,000 nodes cost no time."""
