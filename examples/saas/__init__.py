"""A small multi-tenant SaaS in two services: see examples/README.md."""
