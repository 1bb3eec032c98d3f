"""The paper's analyses as functions that compute; notebooks and explorers draw their results."""
