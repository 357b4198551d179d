"""Where the values of settings come from: flags, environment, `reddot.toml`; and what is wrong.

Beside `settings`, the table. What was given is gathered with its origin, the strongest for each
name, and checked as a whole; a mistake is one line that names the setting and where it is from.
"""

from __future__ import annotations

import difflib
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from reddot.errors import SettingsError
from reddot.setting_types import PREFIX, is_loopback, read_file
from reddot.settings import SETTINGS, Setting, Settings

FILE_SUFFIX: Final = "_FILE"
TOML_DEFAULT: Final = "reddot.toml"
# What the client side of the command line reads from the environment; not settings of the server.
CLIENT_VARIABLES: Final = frozenset({"REDDOT_CONFIG", "REDDOT_TOKEN", "REDDOT_URL"})

_ROWS: Final = {row.name: row for row in SETTINGS}


@dataclass(frozen=True, slots=True)
class Given:
    """A value somebody gave, not yet checked, and where: a flag, a variable or a file."""

    value: object
    origin: str


class _Environ(EnvSettingsSource):
    """The library's reader of variables, on the environment it is handed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items() if value}


def gather(
    argv_values: Mapping[str, object], environ: Mapping[str, str], toml_path: Path | None
) -> dict[str, Given]:
    """What was given, the strongest origin for each name: flag, variable, file.

    Raises `SettingsError` for an unknown name and for a file that cannot be read.
    """
    found = _from_toml(toml_path) if toml_path is not None else {}
    found.update(_from_environ(environ))
    for name, value in argv_values.items():
        if name not in _ROWS:
            raise _unknown("setting", name, list(_ROWS), "the command line")
        if value is not None:
            found[name] = Given(value, _ROWS[name].flag)
    return found


def read(
    argv_values: Mapping[str, object], environ: Mapping[str, str], toml_path: Path | None
) -> Settings:
    """The checked settings, whether or not a server could start with them."""
    given = gather(argv_values, environ, toml_path)
    try:
        settings = Settings.model_validate({name: one.value for name, one in given.items()})
    except ValidationError as error:
        raise _explained(error, given) from None
    if (settings.tls_certfile is None) != (settings.tls_keyfile is None):
        raise SettingsError("tls_certfile and tls_keyfile belong together: set both or none")
    return settings


def load(
    argv_values: Mapping[str, object], environ: Mapping[str, str], toml_path: Path | None
) -> Settings:
    """The settings to start a server with: checked, and safe to be reached by others.

    Development without a `jwt_secret` gets a random one, so that it can hand out tokens.

    Args:
        argv_values: flags by setting name; None means not given.
        environ: the environment; an empty variable is the same as none.
        toml_path: the file, or None for none.
    Raises:
        SettingsError: one line that names the setting, where it is from and what is wrong.
    """
    settings = read(argv_values, environ, toml_path)
    if settings.dev and not is_loopback(settings.host):
        raise SettingsError(
            f"dev lets anybody in, so host must be a loopback address, not {settings.host!r}"
        )
    proofs = (settings.jwt_secret, settings.jwt_public_key, settings.jwt_jwks_url, settings.api_key)
    if not settings.dev and not any(proofs):
        raise SettingsError(
            "no credential is set: give api_key, jwt_secret, jwt_public_key or jwt_jwks_url, "
            "or --dev to try it on this machine"
        )
    if settings.dev and settings.jwt_secret is None:
        return settings.model_copy(update={"jwt_secret": secrets.token_urlsafe(32)})
    return settings


def _from_environ(environ: Mapping[str, str]) -> dict[str, Given]:
    known = {row.variable for row in SETTINGS} | CLIENT_VARIABLES
    files = {row.variable + FILE_SUFFIX: row for row in SETTINGS if row.secret}
    for variable in environ:
        if variable.startswith(PREFIX) and variable not in known and variable not in files:
            raise _unknown("variable", variable, [*known, *files], "the environment")
    upper = {name: value for name, value in environ.items() if name in known}
    found = {name: Given(text, _ROWS[name].variable) for name, text in _Environ(upper)().items()}
    for variable, row in files.items():
        if path := environ.get(variable):
            if row.name in found:
                raise SettingsError(f"{row.variable} and {variable} are both set: keep one")
            found[row.name] = Given(_secret_file(variable, path), variable)
    return found


def _secret_file(variable: str, path: str) -> str:
    try:
        return read_file(path).strip()
    except ValueError as error:
        raise SettingsError(f"{variable}: {error}") from None


def _from_toml(path: Path) -> dict[str, Given]:
    try:
        if not path.is_file():
            raise SettingsError(f"there is no file {path}")
        values = TomlConfigSettingsSource(Settings, path)()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None
    for name, value in values.items():
        if name not in _ROWS:
            raise _unknown("setting", name, list(_ROWS), str(path))
        _check_toml_type(path, _ROWS[name], value)
    return {name: Given(value, str(path)) for name, value in values.items()}


def _check_toml_type(path: Path, row: Setting, value: object) -> None:
    """TOML has types, so `port = "8000"` and `port = true` are mistakes and said so."""
    wanted = {
        "whole number": (int,),
        "number": (int, float),
        "yes or no": (bool,),
        "list": (str, list),
        "tables": (list,),
        "named tables": (dict,),
    }.get(row.kind, (str,))
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise SettingsError(f"{row.name} ({path}): must be {_article(row)}{_shown(row, value)}")


def _article(row: Setting) -> str:
    named = {
        "yes or no": "true or false",
        "tables": f"[[{row.name}]] tables",
        "named tables": "[couriers.NAME] tables",
    }
    if row.kind in named:
        return named[row.kind]
    return "one of " + row.kind if "|" in row.kind else "a " + row.kind


def _shown(row: Setting, value: object) -> str:
    return "" if row.secret else f", not {value!r:.80}"


def _unknown(what: str, name: str, known: list[str], place: str) -> SettingsError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return SettingsError(f"unknown {what} {name!r} in {place}{hint}")


def _explained(error: ValidationError, given: Mapping[str, Given]) -> SettingsError:
    """The first thing that is wrong, as one line without the value of a secret."""
    first = error.errors(include_url=False)[0]
    name, *rest = first["loc"]
    where = f"{name}" + "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in rest)
    message = first["msg"].removeprefix("Value error, ")
    row = _ROWS[str(name)]
    value = "" if first["type"] in ("value_error", "missing") else _shown(row, first["input"])
    origin = given[str(name)].origin
    return SettingsError(f"{where} ({origin}): {message[0].lower()}{message[1:]}{value}")
