"""The command `reddot`: serve, demo, publish, subscribe, token, apikey, config, migrate, verify…

Top layer: reads arguments and the environment, calls one thing, prints, and turns what went wrong
into one line on stderr and an exit code (see `Exit`). The flags of `serve` and `config` are made
from the table of settings.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import secrets
import socket
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from reddot import cli_client
from reddot.api import exporting
from reddot.cli_client import Exit, Mistake, say
from reddot.core import verifying
from reddot.core.access import is_user_name
from reddot.core.gate import make_api_key
from reddot.core.inbox import erase
from reddot.core.tokens import issue_token
from reddot.core.topics import check_filter
from reddot.errors import ReddotError, SettingsError, StoreError
from reddot.ports import Store
from reddot.setting_sources import TOML_DEFAULT, gather, load, read
from reddot.settings import SETTINGS, Setting, Settings, masked
from reddot.system import SystemClock, SystemEntropy, configure_logs
from reddot.tail_frames import Interrupted, Refused

DEMO_FOLDER: Final = "reddot-demo"
DEMO_PORTS: Final = range(8000, 8100)
T = TypeVar("T")


app = typer.Typer(
    name="reddot",
    help="Web message push: one publish, many transports, an exactly right red dot.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line and exit; what went wrong is one line on stderr."""
    try:
        app(prog_name="reddot")
    except (SettingsError, Mistake) as error:
        _fail(Exit.USAGE, error)
    except Refused as error:
        _fail(Exit.REFUSED if error.credential else Exit.FAILED, error)
    except (StoreError, Interrupted) as error:
        _fail(Exit.FAILED, error)


def _fail(code: Exit, error: Exception) -> NoReturn:
    say(f"reddot: {error}")
    sys.exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reddot {version('reddot')}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


# ---- the server ----

_Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="REDDOT_CONFIG",
        metavar="FILE",
        help=f"Settings file; without it, {TOML_DEFAULT} in this folder if there is one.",
        show_default=False,
    ),
]


def _toml_path(config: Path | None) -> Path | None:
    default = Path(TOML_DEFAULT)
    return config or (default if default.exists() else None)


def _flag(row: Setting) -> inspect.Parameter:
    kind: Any = bool if row.kind == "yes or no" else str
    names = f"{row.flag}/--no-{row.flag[2:]}" if kind is bool else row.flag
    option = typer.Option(
        names,
        metavar=None if kind is bool else row.kind.replace("whole number", "number").upper(),
        help=escape(_help(row)),
        show_default=False,
        rich_help_panel=row.group,
    )
    return inspect.Parameter(
        row.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _help(row: Setting) -> str:
    return (
        row.help if row.default in (None, (), {}, False) else f"{row.help} [default: {row.default}]"
    )


def _with_setting_flags(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command one flag per setting, in the place of its `**flags`."""
    signature = inspect.signature(function, eval_str=True)
    own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
    flags = [_flag(row) for row in SETTINGS]
    vars(function)["__signature__"] = signature.replace(parameters=[*own, *flags])
    return function


@app.command()
@_with_setting_flags
def serve(*, config: _Config = None, **flags: Any) -> None:
    """Run the server until it is told to stop.

    Every setting is a flag, a variable REDDOT_<NAME> and a key in reddot.toml, in this order.
    """
    _run(load(flags, os.environ, _toml_path(config)))


def _run(settings: Settings) -> NoReturn:
    # Imported here because it brings all of the server, which the client commands do not need.
    from reddot.app import serve as serve_until_stopped

    raise typer.Exit(serve_until_stopped(settings))


@app.command()
def demo(
    *,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="0: any. Without: 8000 or the next that is free."),
    ] = None,
    host: Annotated[str, typer.Option(help="A loopback address.")] = "127.0.0.1",
) -> None:
    """Run a server to look at, on this machine only, without any set-up.

    Its data stays in ./reddot-demo. Settings from files and variables do not matter to it.
    """
    folder = Path(DEMO_FOLDER)
    values = {
        "dev": True,
        "host": host,
        "port": _free_port(host, DEMO_PORTS if port is None else (port,)),
        "store_url": f"sqlite:///{folder}/reddot.db",
    }
    settings = load(values, {}, None)
    folder.mkdir(exist_ok=True)
    place = f"[{host}]" if ":" in host else host
    address = f"http://{place}:{settings.port}/demo"
    panel = Panel(f"[bold]{address}[/bold]", title="Reddot demo", subtitle="Ctrl-C stops it")
    Console().print(panel, soft_wrap=True)
    _run(settings)


def _free_port(host: str, ports: range | tuple[int, ...]) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason = ""
    for port in ports:
        try:
            with socket.create_server((host, port), family=family) as server:
                return int(server.getsockname()[1])
        except OSError as error:
            reason = error.strerror or str(error)
    raise Mistake(f"cannot listen on {host}, port {ports[-1]}: {reason}")


@app.command()
@_with_setting_flags
def config(*, config: _Config = None, **flags: Any) -> None:
    """Print the settings that would hold, where each is from, and secrets as `***`.

    The output is TOML.
    """
    path = _toml_path(config)
    given = gather(flags, os.environ, path)
    for name, value in masked(read(flags, os.environ, path)).items():
        origin = given[name].origin if name in given else "default"
        typer.echo(f"{_toml_line(name, value)}  # {origin}")


def _toml_line(name: str, value: object) -> str:
    if value is None:
        return f"# {name} ="
    return f"{name} = {_toml_value(value)}"


def _toml_value(value: object) -> str:
    if isinstance(value, dict):
        pairs = (f"{key} = {_toml_value(one)}" for key, one in value.items() if one is not None)
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    # For texts, numbers and booleans JSON and TOML agree.
    return json.dumps(value, ensure_ascii=False)


@app.command()
def migrate(*, config: _Config = None) -> None:
    """Bring the store to this version's schema. `serve` does it too, when it starts.

    The steps that were taken are told on stderr.
    """
    settings = read({}, os.environ, _toml_path(config))
    configure_logs(settings.log_format, settings.log_level)
    asyncio.run(_migrate(settings))


async def _migrate(settings: Settings) -> None:
    from reddot.app import open_store

    store = open_store(settings)
    try:
        await store.open()
        typer.echo(
            f"reddot {version('reddot')}: {settings.store_url} is ready, at position {store.head}"
        )
    finally:
        await store.aclose()


# ---- inboxes ----


@app.command()
def verify(
    *,
    user: Annotated[str | None, typer.Option(help="Only this user's badge.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Make right what is wrong.")] = False,
    config: _Config = None,
) -> None:
    """Count every badge again, notification by notification, and report what differs.

    The server must not be running: the store belongs to one process. Exits with 1 if something is
    wrong and was not repaired.
    """
    verdict = _on_store(config, partial(verifying.verify, user=user, repair=repair))
    for fault in verdict.faults:
        say(f"{'repaired' if repair else 'wrong'}: {fault}")
    for name, derived, counted in verdict.drifted:
        say(f"wrong: the badge of {name!r} says {derived}, a count says {counted}")
    typer.echo(f"{verdict.users} users, {len(verdict.drifted)} badges differ")
    if verdict.drifted or (verdict.faults and not repair):
        raise typer.Exit(Exit.FAILED)


@app.command(name="export-user")
def export_user(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose data.")],
    *,
    config: _Config = None,
) -> None:
    """Print all that is kept of a user, as JSON. The server must not be running."""
    _check_user(user)

    async def work(store: Store) -> dict[str, Any]:
        return await exporting.export_user(store, user)

    found = _on_store(config, work)
    typer.echo(msgspec.json.format(msgspec.json.encode(found)).decode())


@app.command(name="erase-user")
def erase_user(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose data.")],
    *,
    config: _Config = None,
) -> None:
    """Delete all that is kept of a user. The server must not be running."""
    _check_user(user)

    async def work(store: Store) -> None:
        await erase(store, user, SystemClock(), SystemEntropy())

    _on_store(config, work)
    typer.echo(f"erased: {user}")


def _check_user(user: str) -> None:
    if not is_user_name(user):
        raise Mistake(f"{user!r} cannot be a user's name")


def _on_store(config: Path | None, work: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
    """Run something on the store of the settings, alone."""
    settings = read({}, os.environ, _toml_path(config))
    configure_logs(settings.log_format, "warning")

    async def run() -> T:
        from reddot.app import open_store

        store = open_store(settings)
        try:
            await store.open()
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(run())


# ---- credentials ----


@app.command()
def token(
    *,
    user: Annotated[str | None, typer.Option(help="Whose token: the claim `sub`.")] = None,
    subscribe: Annotated[
        list[str] | None, typer.Option(metavar="FILTER", help="May subscribe; repeatable.")
    ] = None,
    publish: Annotated[
        list[str] | None, typer.Option(metavar="FILTER", help="May publish; repeatable.")
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="May do everything.")] = False,
    lifetime: Annotated[int, typer.Option(min=1, metavar="SECONDS", help="Until `exp`.")] = 3600,
    secret: Annotated[
        str | None, typer.Option(help="Instead of the setting jwt_secret.", show_default=False)
    ] = None,
    config: _Config = None,
) -> None:
    """Print a token signed with the server's secret (HS256), for tests and tools."""
    settings = read({"jwt_secret": secret}, os.environ, _toml_path(config))
    if settings.jwt_secret is None:
        raise Mistake("there is no secret: give --secret, REDDOT_JWT_SECRET or jwt_secret")
    if user is not None and not is_user_name(user):
        raise Mistake(f"{user!r} cannot be a user's name")
    try:
        for text in (*(subscribe or ()), *(publish or ())):
            check_filter(text)
    except ReddotError as error:
        raise Mistake(str(error)) from None
    longest_s = settings.token_lifetime_s_max
    if longest_s and lifetime > longest_s:
        raise Mistake(f"--lifetime is above token_lifetime_s_max, {longest_s}")
    issued = issue_token(
        settings.jwt_secret,
        user=user,
        subscribe=subscribe or (),
        publish=publish or (),
        admin=admin,
        lifetime_s=lifetime,
        clock=SystemClock(),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
    )
    typer.echo(issued)


@app.command()
def apikey() -> None:
    """Print a new API key, once, and the line for reddot.toml that lets it in."""
    key, hashed_line = make_api_key(secrets.token_urlsafe(32))
    say("The key, for the server that publishes. It is not shown again:")
    typer.echo(key)
    say("The line for reddot.toml:")
    typer.echo(f'api_key = ["{hashed_line}"]')


@app.command()
def vapid(
    *,
    new: Annotated[
        bool, typer.Option("--new", help="Print a new pair, private key first; keep nothing.")
    ] = False,
    config: _Config = None,
) -> None:
    """Print the public key by which push services know this server, for `applicationServerKey`.

    The private key is the setting `vapid_private_key` of the courier, or a file beside the store,
    which is made if it is not there. Whoever loses it loses all push subscriptions.
    """
    from reddot.courier_opening import vapid_key
    from reddot.couriers.vapid import VapidKey

    if new:
        key = VapidKey.make()
        typer.echo(key.pem().decode(), nl=False)
    else:
        key, place = vapid_key(read({}, os.environ, _toml_path(config)))
        if place is None:
            raise Mistake("a store in memory keeps no key: give the courier vapid_private_key")
        say(f"The private key is {place}. The public key:")
    typer.echo(key.public)


# ---- the client ----

app.command()(cli_client.publish)
app.command()(cli_client.subscribe)
app.command()(cli_client.console)
app.command()(cli_client.doctor)
