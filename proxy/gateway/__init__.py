"""The way of a call: one file per station, the order of the stations in `inference` alone."""
