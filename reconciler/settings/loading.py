"""Where settings come from: the command line, the environment, a file; and what is said when one is wrong."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from reconciler.errors import ConfigurationError
from reconciler.settings.settings import PREFIX, Settings

FILE = "stackmend.toml"
LARGEST_FILE_BYTES = 1_000_000
_TODO = "Nothing was changed. See docs/settings.md."


def load(**overrides: Any) -> Settings:
    """The settings of this process: ``overrides`` (the command line), then the environment, then the file.

    The file is ``STACKMEND_SETTINGS``, or ``stackmend.toml`` in the working directory if there is one. Relative paths
    in it are relative to its folder. Raises ConfigurationError.
    """
    named = os.environ.get(f"{PREFIX}SETTINGS")
    path = Path(named) if named else Path(FILE)
    in_file = _read(path) if named or path.exists() else {}
    try:
        in_environment = EnvSettingsSource(Settings)()
    except (SettingsError, RecursionError) as error:
        what = f"an environment variable cannot be read: {error}"
        raise ConfigurationError(what, where=PREFIX + "*", todo=_TODO) from error
    given = {key: value for key, value in overrides.items() if value is not None}
    merged = _merge(_merge(_beside(path, in_file), in_environment), given)
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise _explained(error, path, in_environment, given) from error


def _read(path: Path) -> dict[str, Any]:
    where = str(path)
    try:
        size = path.stat().st_size
        raw = path.read_bytes() if size <= LARGEST_FILE_BYTES else b""
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", where=where, todo=_TODO) from error
    if size > LARGEST_FILE_BYTES:
        raise ConfigurationError(f"is {size} bytes, allowed are {LARGEST_FILE_BYTES}", where=where, todo=_TODO)
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigurationError(
            f"byte {raw[error.start]:#04x} is not UTF-8", where=f"{where}, line {line}", todo="Save the file as UTF-8."
        ) from error
    except RecursionError as error:
        raise ConfigurationError("is nested too deeply", where=where, todo=_TODO) from error
    except ValueError as error:
        # A number with very many digits is no TOMLDecodeError.
        raise ConfigurationError(f"is not TOML: {error}", where=where, todo=_TODO) from error


def _beside(path: Path, in_file: Mapping[str, Any]) -> dict[str, Any]:
    """The file's content with its relative paths made relative to its own folder."""
    paths = ("project_dir", "config_file", "exceptions_file", "checkpoint_key")
    found = {
        key: str(path.parent / value) if key in paths and isinstance(value, str) else value
        for key, value in in_file.items()
    }
    probe = found.get("probe")
    if isinstance(probe, Mapping) and isinstance(probe.get("ca_file"), str):
        found["probe"] = {**probe, "ca_file": str(path.parent / probe["ca_file"])}
    return found


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _explained(
    error: ValidationError,
    path: Path,
    in_environment: Mapping[str, Any],
    given: Mapping[str, Any],
) -> ConfigurationError:
    """One paragraph a line for every setting that is wrong, each with the place it came from."""
    problems = []
    for problem in error.errors(include_url=False):
        keys = [str(part) for part in problem["loc"]]
        dotted = ".".join(keys)
        if _holds(given, keys):
            source = "command line"
        elif _holds(in_environment, keys):
            source = PREFIX + "__".join(keys).upper()
        else:
            source = str(path)
        if problem["type"] == "missing":
            problems.append(f"{dotted} is not set: set it in {path} or as {PREFIX}{'__'.join(keys).upper()}")
        elif problem["type"] == "extra_forbidden":
            problems.append(f"{source}: {dotted} is not a setting; allowed are {', '.join(_known(keys[:-1]))}")
        else:
            reason = problem["msg"].removeprefix("Value error, ")
            shown = "" if keys == ["store_url"] else f" = {_shown(problem['input'])}"
            problems.append(f"{source}: {dotted}{shown}: {reason}")
    return ConfigurationError("; ".join(problems), where="settings", todo=_TODO)


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:
        return "a number that is too long to show"


def _holds(source: Mapping[str, Any], keys: list[str]) -> bool:
    here: Any = source
    for key in keys:
        if isinstance(here, list) and key.isdecimal() and int(key) < len(here):
            here = here[int(key)]
        elif isinstance(here, Mapping) and key in here:
            here = here[key]
        else:
            return False
    return bool(keys)


def _known(table: list[str]) -> list[str]:
    """The settings of a table, as they are written."""
    model: type[BaseModel] = Settings
    for key in [key for key in table if not key.isdecimal()]:
        if key not in model.model_fields:
            return []
        annotation = model.model_fields[key].annotation
        if get_origin(annotation) is tuple:
            annotation = get_args(annotation)[0]
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return sorted(str(info.validation_alias or name) for name, info in model.model_fields.items())
