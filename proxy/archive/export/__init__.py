"""Exports of the archive: the journal as lines that can be verified, calls as rows for other programs."""
