"""Real servers for the tests: where their programs come from, their life, fresh databases."""
