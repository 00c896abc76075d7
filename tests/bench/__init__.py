"""Measurements that are run by hand: they take long, and what they print is compared, not asserted."""
