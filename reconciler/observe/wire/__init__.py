"""The lean way to AWS and back: botocore's models, endpoints, credentials, settings and guard, without its overhead.

Reading thousands of resources costs what the client does per call, not what AWS does. What is hard stays botocore's;
plain reads are built, signed, sent and parsed here, and anything out of the ordinary goes to botocore whole.
"""

from reconciler.observe.wire.wire import Wire

__all__ = ["Wire"]
