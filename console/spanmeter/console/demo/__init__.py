"""What `spanmeter demo` is made of."""
