"""Shared by tests: oracles (the formulas as plain loops), problems (inputs), checks (of every solver), layouts (of sets)."""
