"""Plain data and contracts: no Qt, no inference runtime, no process, no plugin."""
