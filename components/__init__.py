"""A tenant's world on AWS, as Pulumi components: one component and its Args a file.

Logical names are a contract: the engine and the reconciler know a resource by its name, so renaming one replaces it.
"""
