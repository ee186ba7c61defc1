"""Changes to the archive's tables from one release to the next; what was released is never edited."""
