"""Automation API's stack without what it does besides what it is asked for."""

from __future__ import annotations

from datetime import UTC, datetime

from pulumi.automation import LocalWorkspace, OutputMap, Stack, UpdateSummary


class TargetStack(Stack):
    """A stack that is only named.

    Automation API's own would select the stack, which writes into the workspace although every command names the stack;
    and after an update it would read the outputs with all secrets opened, and the history.
    """

    def __init__(self, name: str, workspace: LocalWorkspace) -> None:
        self.name, self.workspace = name, workspace

    def outputs(self) -> OutputMap:
        return {}

    def info(self, show_secrets: bool = True) -> UpdateSummary:  # noqa: ARG002 - the base class's signature
        return UpdateSummary("update", datetime.now(UTC), "", {}, {}, "succeeded")
