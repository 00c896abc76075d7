"""The embedded view of Netron; needs the web engine, run by hand (see `assets/help/netron.md`)."""
