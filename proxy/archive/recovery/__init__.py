"""What a ledger must have by what is archived: its open windows, and the calls whose money may still move."""
