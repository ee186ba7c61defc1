"""How each provider tells what it billed; one small module for each kind."""
