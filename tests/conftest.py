"""Shared by all tests."""

from hypothesis import settings

# A shared machine is slow at times: a property is judged by its truth, never by the time of one example.
settings.register_profile("burnish", deadline=None, max_examples=60, database=None)
settings.load_profile("burnish")
