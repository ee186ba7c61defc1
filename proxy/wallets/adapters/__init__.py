"""How each provider reports its quotas; one small module for each kind."""
