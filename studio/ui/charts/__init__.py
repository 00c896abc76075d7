"""Charts that paint themselves: on the screen, as PNG and as SVG by the same strokes."""
