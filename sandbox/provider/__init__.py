"""A stand-in for the official AWS provider plugin, so that the real Pulumi engine runs without the internet.

It speaks the property vocabulary of the official provider v7 for the resource types of a tenant, and refuses
everything else loudly. It only ever talks to the endpoint in ``AWS_ENDPOINT_URL``.
"""
