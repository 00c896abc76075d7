"""Physical removal of channels, neurons and heads."""
