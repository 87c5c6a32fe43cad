"""One file per client library: where to wrap it, and how to read the usage that it gets."""
