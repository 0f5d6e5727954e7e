"""Files, identities and processes: what surrounds the models without changing a number."""
