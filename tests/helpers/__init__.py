"""Shared by tests: oracles (plain loops from the paper's formulas), problems (inputs), checks (what every solver owes), sets."""
