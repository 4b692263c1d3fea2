"""Faults: what intruders, outages and careless operators do to a tenant, one function each, by plain AWS calls."""
