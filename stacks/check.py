"""``python -m stacks.check [FILE…]``: says whether stack configuration files can be used, without an engine.

Without arguments it checks every ``Pulumi.<cell>.yaml`` next to the program. Exit status 0 if all are good, else 1.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from stacks.config import load_file
from tenancy.errors import ConfigurationError


def main(arguments: Sequence[str]) -> int:
    paths = [Path(argument) for argument in arguments] or sorted(Path(__file__).parent.glob("Pulumi.*.yaml"))
    if not paths:
        print("no stack configuration file found", file=sys.stderr)
        return 1
    bad = False
    for path in paths:
        try:
            config = load_file(path)
        except ConfigurationError as error:
            print(error, file=sys.stderr)
            bad = True
        else:
            tenants = ", ".join(tenant.name for tenant in config.tenants)
            print(f"{path}: good: cell {config.cell}, region {config.region}, tenants {tenants}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
