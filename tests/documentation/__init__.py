"""The documentation as a site: pages that are made from the code, and the snippets of the others.

Never shipped.
"""
