"""Questions about models that take several jobs to answer: profiles, explanations, sweeps, sensitivity."""
