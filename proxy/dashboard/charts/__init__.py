"""Charts as SVG, drawn on the server: without style attributes and scripts, legible in both themes."""
