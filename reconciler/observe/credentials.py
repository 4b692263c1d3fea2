"""A session's credentials, whose failures are errors of botocore's own, whatever their provider let out.

A helper that is missing, a token that cannot be read or a refresh that brings nothing new comes out of botocore as
OSError, ValueError or RuntimeError, and as ClientError where a sign-in was refused: callers would take that for a bug,
or for AWS's answer to their own call, which may say that something does not exist.
"""

from __future__ import annotations

from json import JSONDecodeError
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError

from reconciler.errors import StackmendError

_PLAIN = (BotoCoreError, StackmendError)
"""Errors that callers know as they are; the latter is the guard's."""
_TOLD = (ClientError, OSError, RuntimeError, JSONDecodeError)
"""Errors whose words name a code, a file or a place; other errors' words may quote what the provider returned."""


def credentials_of(session: botocore.session.Session) -> Any:
    """The session's credentials, or None; what the session makes later uses them too.

    Raises CredentialRetrievalError, now and whenever they are refreshed.
    """
    try:
        found: Any = session.get_credentials()
    except _PLAIN:
        raise
    except Exception as error:
        raise _in_botocores_words(error, "the environment") from error
    if found is not None and not isinstance(found, _Credentials):
        found = _Credentials(found)
        kept: Any = session
        kept._credentials = found
    return found


class _Credentials:
    """Stands before botocore's credentials."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def get_frozen_credentials(self) -> Any:
        try:
            return self._real.get_frozen_credentials()
        except _PLAIN:
            raise
        except Exception as error:
            raise _in_botocores_words(error, self._real.method) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _in_botocores_words(error: Exception, provider: str) -> CredentialRetrievalError:
    words = f"{type(error).__name__}: {error}" if isinstance(error, _TOLD) else type(error).__name__
    return CredentialRetrievalError(provider=provider, error_msg=words)
