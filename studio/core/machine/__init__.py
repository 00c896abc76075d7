"""The machine as a measure of models: what it can do, what disturbs it, and what to expect of it."""
