"""Optimize for me: the button in the bar, and the tab that shows what is tried."""
