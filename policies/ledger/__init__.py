"""The ledger: what every budget has spent and reserved, and every movement of it."""
