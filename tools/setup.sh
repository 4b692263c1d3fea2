#!/usr/bin/env bash
# Puts everything the project needs under .venv and .toolchain, and nothing anywhere else.
# Safe to run again: what is already right is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

UV_VERSION=0.13.8
PULUMI_VERSION=3.259.0   # of the pulumi package in uv.lock: an older CLI is refused, a newer 3.x on the PATH is used

bin=$PWD/.toolchain/bin
mkdir -p "$bin"

say() { printf '\033[2m[setup]\033[0m %s\n' "$*" >&2; }
stop() { printf '[setup] %s\n' "$*" >&2; exit 1; }
need() { command -v "$1" >/dev/null 2>&1 || stop "missing: $1. $2"; }

# Runs a slow step in silence, with its name and a growing time on a terminal; shows its output only if it fails.
step() {
    local name=$1 log start=$SECONDS; shift
    log=$(mktemp)
    "$@" >"$log" 2>&1 &
    local job=$!
    while kill -0 "$job" 2>/dev/null; do
        if [ -t 2 ]; then printf '\r\033[2m[setup]\033[0m %s … %ds ' "$name" "$((SECONDS - start))" >&2; fi
        sleep 0.2
    done
    if [ -t 2 ]; then printf '\r\033[K' >&2; fi
    if ! wait "$job"; then cat "$log" >&2; rm -f "$log"; stop "failed: $name (its output is above)"; fi
    rm -f "$log"
    say "$name: done in $((SECONDS - start)) s"
}

need git "Install it from https://git-scm.com or your system's packages."
need python3 "Install Python 3.11 or newer."
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || stop "python3 is $(python3 -V); 3.11 or newer is needed."

if command -v uv >/dev/null 2>&1; then
    uv=$(command -v uv)
else
    uv=.toolchain/uv/bin/uv
    if [ "$("$uv" --version 2>/dev/null | cut -d' ' -f2)" != "$UV_VERSION" ]; then
        install_uv() { python3 -m venv --clear .toolchain/uv && .toolchain/uv/bin/pip install --quiet "uv==$UV_VERSION"; }
        step "installing uv $UV_VERSION" install_uv
    fi
fi
if ! "$uv" sync --frozen --check --quiet --extra kubernetes >/dev/null 2>&1; then
    # Compiled here once: where Python may not write bytecode, every process would compile it all again (2 s each).
    step "installing the Python packages of uv.lock into .venv" "$uv" sync --frozen --extra kubernetes --compile-bytecode
fi

# True if version $1 is at least $2 and of the same major version.
fits() { [ "${1%%.*}" = "${2%%.*}" ] && [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n1)" = "$2" ]; }
version_of() { "$1" version 2>/dev/null | sed -n 's/^v\([0-9.]*\).*/\1/p'; }

if [ "$(version_of "$bin/pulumi")" = "$PULUMI_VERSION" ] && [ -x "$bin/pulumi-language-python" ] \
    && [ -x "$bin/pulumi-language-python-exec" ]; then
    exit 0
fi
if command -v pulumi >/dev/null 2>&1 && command -v pulumi-language-python >/dev/null 2>&1; then
    found=$(version_of pulumi)
    if fits "${found:-0}" "$PULUMI_VERSION"; then
        say "using the Pulumi CLI $found on the PATH"
        exit 0
    fi
    say "the Pulumi CLI on the PATH is ${found:-unreadable}; $PULUMI_VERSION or newer (3.x) is needed, so one is built here"
fi

need go "It builds the Pulumi CLI. Install Go 1.25 or newer, or the Pulumi CLI itself (https://www.pulumi.com/docs/install)."
version_flag=github.com/pulumi/pulumi/sdk/v3/go/common/version.Version
build_cli() {
    go -C tools/pulumi build -mod=readonly -ldflags "-s -w -X $version_flag=v$PULUMI_VERSION" \
        -o "$bin/pulumi" github.com/pulumi/pulumi/pkg/v3/cmd/pulumi
}
# The module of the host stands alone only up to sdk 3.78; the script it starts programs with is taken from the SDK
# that the CLI is built with.
build_host() {
    go -C tools/pulumi-language-python build -mod=readonly -ldflags "-s -w" -o "$bin/pulumi-language-python" \
        github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python
    local sdk
    go -C tools/pulumi mod download github.com/pulumi/pulumi/sdk/v3
    sdk=$(go -C tools/pulumi list -m -f '{{.Dir}}' github.com/pulumi/pulumi/sdk/v3)
    install -m 755 "$sdk/python/cmd/pulumi-language-python-exec" "$bin/pulumi-language-python-exec"
}
step "building the Pulumi language host for Python (about 20 s the first time)" build_host
step "building the Pulumi CLI $PULUMI_VERSION (about 3 min the first time)" build_cli
