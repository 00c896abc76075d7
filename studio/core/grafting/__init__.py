"""Models that are one model in some layers and its variant in others."""
