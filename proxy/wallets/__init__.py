"""Quotas and balances that providers report: asked for by one replica, kept in Redis, gated on by all."""
