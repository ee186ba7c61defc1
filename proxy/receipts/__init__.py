"""What providers say they billed: when it is asked for, how it is read, and how budgets are corrected."""
