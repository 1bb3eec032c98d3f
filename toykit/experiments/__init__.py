"""The paper's analyses as functions that compute; notebooks and explorers show what they return."""
