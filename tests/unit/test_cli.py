"""The command line: arguments in, lines and exit codes out. No server, no network."""

from __future__ import annotations

import json
import os
import socket
import sys
import tomllib
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

import httpx
import pytest

import reddot.app
from reddot import cli, cli_client
from reddot.cli_client import LINES_MAX, Exit, Mistake, batches, notices, shown
from reddot.core.gate import ApiKeys
from reddot.core.tokens import StaticKeys, TokenVerifier
from reddot.errors import StoreError
from reddot.settings import SETTINGS, Settings
from reddot.system import SystemClock
from reddot.tail import Transport
from reddot.tail_frames import Frame, GapNote, Interrupted, Refused, parse_frame

SECRET = "s" * 32
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("REDDOT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TERM", "dumb")
    # Logs are the process's, and would outlive the test.
    monkeypatch.setattr(cli, "configure_logs", lambda form, level: None)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `reddot` with arguments; returns exit code, stdout, stderr."""

    def invoke(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["reddot", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return invoke


def one_line(err: str) -> str:
    assert err.startswith("reddot: ") and err.count("\n") == 1 and "Traceback" not in err
    return err


# ---- serve, config, demo ----


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What `reddot.app.serve` was given; it returns 7 at once."""
    given: list[Settings] = []

    def serve(settings: Settings) -> int:
        given.append(settings)
        return 7

    monkeypatch.setattr(reddot.app, "serve", serve)
    return given


def test_every_setting_is_a_flag_of_serve(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run("serve", "--help")
    assert code == 0
    missing = [row.flag for row in SETTINGS if row.flag not in out]
    assert not missing


def test_serve_takes_flags_and_returns_the_servers_code(
    run: Run, served: list[Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REDDOT_BACKLOG", "7")
    monkeypatch.setenv("REDDOT_CONFIG", str(tmp_path / "other.toml"))
    (tmp_path / "other.toml").write_text("sessions_max = 9\n")
    code, _, _ = run("serve", "--dev", "--port", "1", "--allowed-origins", "https://a.b,https://c")
    assert code == 7
    (settings,) = served
    assert (settings.dev, settings.port, settings.backlog, settings.sessions_max) == (True, 1, 7, 9)
    assert settings.allowed_origins == ("https://a.b", "https://c")


def test_serve_finds_the_file_in_this_folder(
    run: Run, served: list[Settings], tmp_path: Path
) -> None:
    (tmp_path / "reddot.toml").write_text("dev = true\nport = 3\n")
    run("serve")
    run("serve", "--no-dev", "--api-key", "rk_a_1")
    assert [one.port for one in served] == [3, 3]
    assert [one.dev for one in served] == [True, False]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no credential"),
        (("--dev", "--port", "70000"), "--port"),
        (("--dev", "--port", "x"), "--port"),
        (("--dev", "--host", "0.0.0.0"), "loopback"),
        (("--dev", "--config", "none.toml"), "none.toml"),
    ],
)
def test_wrong_settings_stop_serve_with_one_line(
    run: Run, served: list[Settings], arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = run("serve", *arguments)
    assert (code, out, served) == (Exit.USAGE, "", [])
    assert said in one_line(err)


def test_an_unknown_flag_is_wrong_usage(run: Run, served: list[Settings]) -> None:
    code, _, err = run("serve", "--dev", "--prot", "1")
    assert code == Exit.USAGE and "--prot" in err and not served


def test_config_prints_toml_with_origins_and_without_secrets(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "reddot.toml").write_text(
        'api_key = ["rk_a_1"]\nhost = "::1"\n[[topics]]\nfilter = "a/#"\nhistory_age = "1h"\n'
    )
    monkeypatch.setenv("REDDOT_JWT_SECRET", SECRET)
    code, out, _ = run("config", "--port", "9")
    assert code == 0 and SECRET not in out and "rk_a_1" not in out
    shown_values = tomllib.loads(out)
    assert shown_values["port"] == 9 and shown_values["host"] == "::1"
    assert shown_values["jwt_secret"] == shown_values["api_key"] == "***"
    assert shown_values["topics"][0]["history_age"] == 3600
    lines = out.splitlines()
    assert len(lines) == len(SETTINGS)
    origins = {line.split()[0]: line.split("# ")[-1] for line in lines}
    assert origins["port"] == "--port"
    assert origins["host"] == "reddot.toml"
    assert origins["jwt_secret"] == "REDDOT_JWT_SECRET"
    assert origins["backlog"] == "default"


def test_config_prints_what_could_not_start(run: Run) -> None:
    code, out, _ = run("config")
    assert code == 0 and "port = 8000" in out


def test_demo_needs_no_set_up(
    run: Run, served: list[Settings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REDDOT_PORT", "nonsense")
    (tmp_path / "reddot.toml").write_text("nonsense = 1")
    assert run("demo", "--port", "0")[0] == 7
    code, out, _ = run("demo", "--port", "0")
    first, second = served
    assert f"http://127.0.0.1:{second.port}/demo" in out
    assert code == 7 and second.dev and second.port != 0
    assert second.store_url == "sqlite:///reddot-demo/reddot.db"
    assert (tmp_path / "reddot-demo").is_dir()
    assert first.jwt_secret and first.jwt_secret != second.jwt_secret


def test_demo_takes_the_next_free_port_unless_told(run: Run, served: list[Settings]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        code, _, err = run("demo", "--port", str(port))
        assert code == Exit.USAGE and str(port) in one_line(err) and not served
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cli, "DEMO_PORTS", range(port, min(port + 100, 65_536)))
            run("demo")
    assert served[0].port > port


def test_demo_stays_on_this_machine(run: Run, served: list[Settings], tmp_path: Path) -> None:
    code, _, err = run("demo", "--port", "0", "--host", "0.0.0.0")
    assert code == Exit.USAGE and "loopback" in one_line(err)
    assert not served and not (tmp_path / "reddot-demo").exists()


def test_version_and_no_command(run: Run) -> None:
    code, out, _ = run("--version")
    assert code == 0 and out.startswith("reddot 0.")
    assert run()[0] == Exit.USAGE
    assert run("nonsense")[0] == Exit.USAGE


def test_migrate_says_which_store_is_ready(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDDOT_STORE_URL", "sqlite:///sub.db")
    code, out, _ = run("migrate")
    assert code == 0 and "sqlite:///sub.db is ready, at position 0" in out
    assert Path("sub.db").exists()


def test_a_store_that_cannot_be_opened_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(settings: Settings) -> None:
        raise StoreError("reddot.db is newer than this program")

    monkeypatch.setattr(reddot.app, "open_store", broken)
    code, _, err = run("migrate")
    assert code == Exit.FAILED and "newer" in one_line(err)


# ---- credentials ----


def test_token_is_one_that_the_server_believes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDDOT_JWT_SECRET", SECRET)
    monkeypatch.setenv("REDDOT_JWT_ISSUER", "me")
    monkeypatch.setenv("REDDOT_JWT_AUDIENCE", "you")
    code, out, err = run(
        "token", "--user", "42", "--subscribe", "a/#", "--subscribe", "b", "--publish", "c"
    )
    assert (code, err) == (0, "")
    verifier = TokenVerifier(
        keys=StaticKeys(secret=SECRET), clock=SystemClock(), issuer="me", audience="you"
    )
    actor = verifier.verify(out.strip())
    assert actor is not None
    assert (actor.user, actor.subscribe, actor.publish) == ("42", ("a/#", "b"), ("c",))
    assert not actor.admin


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--user", "42"), "no secret"),
        (("--user", "4/2", "--secret", SECRET), "user's name"),
        (("--secret", SECRET, "--lifetime", "86401"), "token_lifetime_s_max"),
        (("--secret", "short"), "32 bytes"),
    ],
)
def test_wrong_tokens_are_not_made(run: Run, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = run("token", *arguments)
    assert (code, out) == (Exit.USAGE, "")
    assert said in one_line(err)


def test_a_wrong_filter_makes_no_token(run: Run) -> None:
    code, out, err = run("token", "--secret", SECRET, "--subscribe", "a#")
    assert (code, out) == (Exit.USAGE, "")
    assert "filter_invalid" in one_line(err)


def test_apikey_prints_a_key_and_the_line_that_lets_it_in(run: Run) -> None:
    code, out, _ = run("apikey")
    key, line = out.splitlines()
    assert code == 0
    (hashed,) = tomllib.loads(line)["api_key"]
    assert key not in hashed
    assert ApiKeys([hashed]).actor(key).service
    assert run("apikey")[1] != out


# ---- publish ----


class Server:
    """Remembers what was posted and answers as told."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answer = httpx.Response(200, json={"id": "x", "offset": 1})
        self.error: Exception | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        return httpx.Response(self.answer.status_code, content=self.answer.content)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    real = httpx.Client

    def client(**options: object) -> httpx.Client:
        return real(transport=httpx.MockTransport(made), **options)  # type: ignore[arg-type]

    monkeypatch.setattr(httpx, "Client", client)
    return made


def test_publish_sends_data_byte_for_byte(run: Run, server: Server) -> None:
    code, out, err = run("publish", "news/ü", ' {"n": 1.50e40} ', "--url", "http://h:1/")
    assert (code, out, err) == (0, '{"id":"x","offset":1}\n', "")
    (request,) = server.requests
    assert str(request.url) == "http://h:1/v1/publish"
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers
    assert request.content.decode() == '{"topic": "news/ü", "data":  {"n": 1.50e40} }'


def test_publish_sends_all_fields(run: Run, server: Server) -> None:
    run(
        "publish", "a", "hi", "--text", "--event", "e", "--id", "i", "--ephemeral", "--ttl", "1.5",
        "--retain", "--token", "t.t",
    )  # fmt: skip
    (request,) = server.requests
    assert json.loads(request.content) == {
        "topic": "a", "data": "hi", "event": "e", "id": "i", "ephemeral": True, "ttl": 1.5,
        "retain": True,
    }  # fmt: skip
    assert request.headers["authorization"] == "Bearer t.t"


def test_publish_takes_its_credential_from_the_environment(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDDOT_API_KEY", "rk_a_1")
    monkeypatch.setenv("REDDOT_URL", "http://elsewhere")
    run("publish", "a", "1")
    run("publish", "a", "1", "--token", "t")
    assert [one.headers["authorization"] for one in server.requests] == [
        "Bearer rk_a_1",
        "Bearer t",
    ]
    assert server.requests[0].url.host == "elsewhere"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a", "hi"), "--text"),
        (("a", "NaN"), "JSON"),
        (("a", "[" * 100_000), "JSON"),
        (("a", '"\udcff"'), "JSON"),
        (("a\udcff", "1"), "UTF-8"),
        (("a",), "TOPIC and DATA"),
        ((), "TOPIC and DATA"),
        (("a", "1", "--stdin"), "exclude"),
        (("a", "--stdin", "--id", "x"), "exclude"),
        (("--stdin", "--retain"), "each line"),
        (("a", "1", "--url", "localhost:8000"), "--url"),
        (("a", "1", "--url", "http://"), "--url"),
        (("a", "1", "--token", "a b"), "credential"),
        (("a", "1", "--token", "é"), "credential"),
    ],
)
def test_wrong_usage_of_publish(
    run: Run, server: Server, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = run("publish", *arguments)
    assert (code, out, server.requests) == (Exit.USAGE, "", [])
    assert said in one_line(err)


@pytest.mark.parametrize(
    ("status", "retry", "expected"),
    [
        (401, False, Exit.REFUSED),
        (403, False, Exit.REFUSED),
        (400, False, Exit.FAILED),
        (413, False, Exit.FAILED),
        (503, True, Exit.FAILED),
    ],
)
def test_a_refused_publish(
    run: Run, server: Server, status: int, retry: bool, expected: Exit
) -> None:
    server.answer = httpx.Response(status, json={"detail": "because", "retry": retry})
    code, out, err = run("publish", "a", "1")
    assert (code, out) == (expected, "")
    assert f"HTTP {status}: because" in one_line(err)


def test_an_unreachable_server_and_a_strange_one(run: Run, server: Server) -> None:
    server.answer = httpx.Response(200, text="<html>")
    code, _, err = run("publish", "a", "1")
    assert code == Exit.FAILED and "Reddot" in one_line(err)
    server.error = httpx.ConnectError("refused")
    code, _, err = run("publish", "a", "1")
    assert code == Exit.FAILED and "http://127.0.0.1:8000" in one_line(err)
    assert "refused" in err


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[bytes], object]]:
    """Give the command a stdin with this content."""
    path = tmp_path / "stdin"
    path.touch()
    with path.open("rb") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield lambda content: path.write_bytes(content)


def test_publish_lines_as_data(run: Run, server: Server, pipe: Callable[[bytes], object]) -> None:
    pipe(b"1\n\n2.0\n[3]")
    server.answer = httpx.Response(200, json=[{"offset": 1}, {"offset": 2}])
    code, out, _ = run("publish", "a", "--stdin", "--event", "e")
    assert code == 0
    assert out.splitlines() == ['{"offset":1}', '{"offset":2}'] * 2
    first, last = server.requests
    assert first.headers["content-type"] == "application/x-ndjson"
    lines = first.content.decode().splitlines()
    assert lines == [
        '{"topic": "a", "event": "e", "data": 1}',
        '{"topic": "a", "event": "e", "data": 2.0}',
    ]
    assert json.loads(last.content)["data"] == [3]


def test_publish_whole_lines(run: Run, server: Server, pipe: Callable[[bytes], object]) -> None:
    line = b'{"topic":"a","data":1}'
    pipe(line + b"\n" + line + b"\n")
    run("publish", "--stdin")
    assert server.requests[0].content == line + b"\n" + line


def test_batches_hold_nothing_back_and_have_a_largest_size() -> None:
    chunks = [b"a", b"b\nc", b"\n" * 3, b"x\n" * (LINES_MAX + 1), b"\xc3", b"\xa9", b""]
    found = list(batches(lambda size: chunks.pop(0)))
    assert [len(one) for one in found] == [1, 1, LINES_MAX, 1, 1]
    assert (found[0], found[1], found[-1]) == (["ab"], ["c"], ["é"])
    with pytest.raises(Mistake, match="UTF-8"):
        list(batches(lambda size: b"\xff\n"))


# ---- subscribe ----


class Tail:
    """In the place of `reddot.tail.tail`: remembers how it was called, yields as scripted."""

    def __init__(self) -> None:
        self.calls: list[dict[str, object]] = []
        self.frames: list[Frame] = []
        self.end: Exception | None = None

    async def __call__(
        self, url: str, filters: list[str], **options: object
    ) -> AsyncGenerator[Frame, None]:
        self.calls.append({"url": url, "filters": filters} | options)
        for frame in self.frames:
            yield frame
        if self.end is not None:
            raise self.end


@pytest.fixture
def tail(monkeypatch: pytest.MonkeyPatch) -> Tail:
    made = Tail()
    monkeypatch.setattr(cli_client, "tail", made)
    return made


def frame(offset: int, data: str = "1", **more: object) -> Frame:
    head = {"type": "publication", "topic": "a/b", "event": "message", "cursor": f"1a.{offset}"}
    text = json.dumps(head | {"offset": offset} | more)
    return parse_frame(f'{text[:-1]},"data":{data}}}')


def test_subscribe_prints_one_line_each(run: Run, tail: Tail) -> None:
    tail.frames = [
        Frame(type="sync", cursor="1a.0"),
        frame(1, '{"b": 1.0}'),
        Frame(type="heartbeat", cursor="1a.1"),
        frame(0, "[1,\r\n2]", event="e"),
        Frame(type="gap", topic="a/#", reason="trimmed"),
    ]
    code, out, err = run("subscribe", "a/#", "b")
    assert code == 0
    assert out.splitlines() == ['a/b 1 message {"b": 1.0}', "a/b - e [1,  2]"]
    assert err.splitlines() == ["attached", "gap on a/#: trimmed"]
    (call,) = tail.calls
    assert call["filters"] == ["a/#", "b"] and call["transport"] is Transport.SSE
    assert call["url"] == "http://127.0.0.1:8000"
    assert call["cursor"] is None and call["token"] is None


@pytest.mark.parametrize("transport", list(Transport))
def test_subscribe_over(run: Run, tail: Tail, transport: Transport) -> None:
    run("subscribe", "a", "--transport", transport.value, "--since", "1a.5", "--token", "t")
    (call,) = tail.calls
    assert (call["transport"], call["cursor"], call["token"]) == (transport, "1a.5", "t")


def test_subscribe_stops_after_so_many(run: Run, tail: Tail) -> None:
    tail.frames = [frame(1), frame(2), frame(3)]
    code, out, _ = run("subscribe", "a", "--count", "2")
    assert (code, len(out.splitlines())) == (0, 2)


def test_subscribe_as_json_and_raw(run: Run, tail: Tail) -> None:
    tail.frames = [frame(1, '"h\\u0069\\nthere"'), frame(2, "1e400")]
    out = run("subscribe", "a", "--json")[1]
    lines = out.splitlines()
    assert len(lines) == 2 and json.loads(lines[0])["data"] == "hi\nthere"
    assert json.loads(lines[0])["cursor"] == "1a.1" and "1e400" in lines[1]
    assert run("subscribe", "a", "--raw")[1] == "hi\nthere\n1e400\n"
    code, _, err = run("subscribe", "a", "--raw", "--json")
    assert code == Exit.USAGE and "exclude" in one_line(err)


def test_a_line_cannot_command_the_terminal() -> None:
    assert shown(frame(1, '"\x9b31m\x7f"'), "line") == 'a/b 1 message "\\u009b31m\\u007f"'
    assert json.loads(shown(frame(1, '"\x9b"'), "json"))["data"] == "\x9b"


def test_subscribe_keeps_its_cursor(run: Run, tail: Tail, tmp_path: Path) -> None:
    state = tmp_path / "state"
    tail.frames = [Frame(type="sync", cursor="1a.0"), frame(1), Frame(type="gap"), frame(2)]
    run("subscribe", "a", "--state", str(state), "--since", "1a.9", "--count", "1")
    assert state.read_text() == "1a.1\n"
    run("subscribe", "a", "--state", str(state), "--since", "1a.9")
    assert [one["cursor"] for one in tail.calls] == ["1a.9", "1a.1"]
    assert state.read_text() == "1a.2\n"
    assert os.listdir(tmp_path) == ["state"]


def test_a_state_that_cannot_be_kept(run: Run, tail: Tail, tmp_path: Path) -> None:
    tail.frames = [frame(1)]
    for place in (tmp_path, tmp_path / "none" / "state"):
        code, _, err = run("subscribe", "a", "--state", str(place))
        assert code == Exit.USAGE and "--state" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (Refused(401, "HTTP 401: no"), Exit.REFUSED),
        (Refused(4403, "closed: 4403"), Exit.REFUSED),
        (Refused(400, "HTTP 400: no"), Exit.FAILED),
        (Interrupted("never mind"), Exit.FAILED),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
    ],
)
def test_how_subscribe_ends(run: Run, tail: Tail, end: Exception, expected: Exit) -> None:
    tail.end = end
    code, out, err = run("subscribe", "a")
    assert (code, out) == (expected, "") and "Traceback" not in err


def test_wrong_usage_of_subscribe(run: Run, tail: Tail) -> None:
    for arguments in (
        (),
        ("a", "--transport", "pigeon"),
        ("a", "--count", "0"),
        ("a", "--url", "x"),
    ):
        assert run("subscribe", *arguments)[0] == Exit.USAGE
    assert not tail.calls


def test_notices_of_control_frames() -> None:
    gaps = (GapNote("a", "epoch"), GapNote("b", "trimmed"))
    assert notices(Frame(type="sync", complete=False, gaps=gaps)) == [
        "gap on a: epoch",
        "gap on b: trimmed",
    ]
    assert notices(Frame(type="sync", complete=False)) == ["gap: something may be missing"]
    assert notices(Frame(type="heartbeat", cursor="1a.1")) == []
