"""What worker processes do: each module has a payload, and a `run` that takes it as plain JSON."""
