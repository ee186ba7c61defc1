"""The proxy: the way of a call, and what stands beside it."""
