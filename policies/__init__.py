"""What is right: money, budgets, quotes and the ledger, without HTTP and without a framework."""
