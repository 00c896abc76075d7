"""Searching for the fastest model inside an accuracy budget: levers, trials, and what to try next."""
