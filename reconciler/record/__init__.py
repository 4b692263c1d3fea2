"""The durable record: what was found, intended, done and by whom, and who may act now."""
