"""The domain, pure and without I/O: attribute names, usage events, dialects, rates and costing."""
