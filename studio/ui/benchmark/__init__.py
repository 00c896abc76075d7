"""Live benchmark: rolling latency, distribution, running ratios, figures."""
