"""Who calls are forwarded to: where their endpoints are, and the only outgoing HTTP."""
