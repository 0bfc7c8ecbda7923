"""The path of one call: who answers, the answer brought to the specification, the record."""
