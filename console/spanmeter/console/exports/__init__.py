"""Exports: what was used, told to the billing systems that teams have, exactly once."""
