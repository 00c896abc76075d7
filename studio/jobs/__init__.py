"""Worker processes: protocol, pool, cancellation, and the tasks that run in them."""
