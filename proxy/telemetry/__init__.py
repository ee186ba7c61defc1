"""What operators see: numbers for Prometheus and lines of log, without anything secret in them."""
