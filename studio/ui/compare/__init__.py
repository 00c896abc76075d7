"""All variants compared: table, Pareto front, bars, radar, and what can be taken away."""
