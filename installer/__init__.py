"""What ``installer/dev.py`` is made of: it prepares, runs and tests a checkout with the standard library alone."""
