"""Low-rank factorization and weight sharing."""
