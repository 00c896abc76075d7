"""The tree of variants."""
