"""What AWS's refusals mean: whether asking again may help, and whether it was asked too often."""

from __future__ import annotations

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_PASSING = frozenset({"InternalError", "InternalFailure", "RequestTimeout", "RequestTimeoutException"})


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """HTTP status; 0 if there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_throttled(error: Exception) -> bool:
    """Whether AWS says that it was asked too often."""
    return isinstance(error, ClientError) and code_of(error) in _THROTTLED


def is_passing(error: Exception) -> bool:
    """Whether asking again may help: throttling, a fault on AWS's side, or the network."""
    if isinstance(error, ClientError):
        return is_throttled(error) or code_of(error) in _PASSING or status_of(error) >= 500
    return isinstance(error, HTTPClientError | ConnectionError)
