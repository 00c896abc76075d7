"""Tests of what is shipped and of ``installer/dev.py``."""
