"""`karyo`, the one command, and the embedded stack that it starts."""
