"""The command line: the same session as the window, in a terminal."""
