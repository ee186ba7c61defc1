"""The admin plane: health, metrics and the operators' API, on a port of its own."""
