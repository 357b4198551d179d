"""One file per way to reach a client. They never import each other."""
