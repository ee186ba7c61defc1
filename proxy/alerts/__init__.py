"""Alerts: what somebody should hear of, told once."""
