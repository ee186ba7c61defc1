"""The wire formats of calls, without I/O: what a request asks for, what an answer used."""
