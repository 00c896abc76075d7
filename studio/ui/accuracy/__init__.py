"""The Accuracy tab: figures with intervals, classes, the error along the graph, single samples, and the data itself."""
