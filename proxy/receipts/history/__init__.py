"""Receipts from a provider's billing history: read by time, waiting in Redis for their calls."""
