"""Netron as a second view of the shown model: offline, on loopback, with that model alone."""
