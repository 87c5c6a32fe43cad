"""A small product as it is written: 17 calls of LLM clients, of which 3 no usage context covers.

The linter reads it and never runs it. What it must find is marked `UNCOVERED`.
"""
