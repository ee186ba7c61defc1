"""The archive: the journal in SQL, hash-chained, and what is read from it."""
