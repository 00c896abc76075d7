"""Why one model is slower than another: decisions on plain data. Nothing here runs a model."""
