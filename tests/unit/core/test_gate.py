"""The gate: which credential counts, which origins may use one, API keys, and CORS."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import Key

from reddot.codecs.credentials import Credential
from reddot.core.gate import ApiKeys, Gate, Identified, Origins, Presented, make_api_key
from reddot.core.tickets import Tickets
from reddot.core.tokens import StaticKeys, TokenVerifier, issue_token
from reddot.errors import ReddotError, SettingsError
from reddot.model import ANONYMOUS, Actor

SECRET = "a secret of more than thirty-two bytes"
LISTED, OTHER = "https://app.example.com", "https://evil.example"
HOST = "push.example.com"
OWN = f"https://{HOST}"


class FakeClock:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def wall_ms(self) -> int:
        return int(self.now_s * 1000)

    def monotonic(self) -> float:
        return self.now_s


class Numbered:
    def __init__(self) -> None:
        self.numbers = itertools.count()

    def publication_id(self) -> str:
        raise NotImplementedError

    def secret(self) -> str:
        return f"ticket-{next(self.numbers)}"

    def fraction(self) -> float:
        raise NotImplementedError


CLOCK = FakeClock()
TICKETS = Tickets(clock=CLOCK, entropy=Numbered())
API_KEY, API_LINE = make_api_key("r" * 43)


def make_verifier(keys: object = None) -> TokenVerifier:
    ring = keys or StaticKeys(secret=SECRET)
    return TokenVerifier(keys=ring, issuer=None, audience=None, clock=CLOCK)  # type: ignore[arg-type]


def make(
    *,
    verifier: TokenVerifier | None = None,
    allowed: tuple[str, ...] = (LISTED,),
    dev: bool = False,
) -> Gate:
    return Gate(
        verifier=verifier or make_verifier(),
        api_keys=[API_LINE],
        tickets=TICKETS,
        origins=Origins(allowed),
        dev=dev,
    )


GATE = make()


def token(user: str = "42", lifetime_s: int = 60) -> str:
    return issue_token(SECRET, user=user, lifetime_s=lifetime_s, clock=CLOCK)


def presented(
    bearer: str | None = None,
    cookie: str | None = None,
    ticket: str | None = None,
    origin: str | None = None,
    host: str | None = HOST,
    cross_site: bool = False,
) -> Presented:
    return Presented(
        bearer=bearer,
        cookie=cookie,
        ticket=ticket,
        origin=origin,
        host=host,
        cross_site=cross_site,
    )


def identify(gate: Gate = GATE, **fields: Any) -> Identified | None:
    return gate.identify(**presented(**fields))


def refusal(gate: Gate = GATE, **fields: Any) -> str:
    with pytest.raises(ReddotError) as caught:
        identify(gate, **fields)
    return caught.value.code


def user_of(found: Identified | None) -> str | None:
    assert found is not None
    return found.actor.user


def test_the_fields_are_those_of_the_codec() -> None:
    assert set(Credential.__struct_fields__) == set(Presented.__annotations__)


# ---- which credential counts ----


def test_nothing_is_anonymous() -> None:
    assert identify() == Identified(actor=ANONYMOUS)


def test_a_ticket_counts_before_a_bearer_and_a_bearer_before_a_cookie() -> None:
    ticket = TICKETS.issue(Actor(user="1"), None)
    two, three = token("2"), token("3")
    assert user_of(identify(ticket=ticket, bearer=two, cookie=three)) == "1"
    assert user_of(identify(bearer=two, cookie=three)) == "2"
    assert user_of(identify(cookie=three)) == "3"


BROKEN = ["", "x", "rk_", "a.b.c"]


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("kind", ["ticket", "bearer", "cookie"])
@pytest.mark.parametrize("dev", [False, True])
def test_a_broken_credential_is_an_error_and_not_the_next_best(
    broken: str, kind: str, dev: bool
) -> None:
    good = {"ticket": token(), "bearer": token(), "cookie": token()}
    weaker = list(good)[list(good).index(kind) + 1 :]
    fields = {kind: broken, **{name: good[name] for name in weaker}}
    assert refusal(make(dev=dev), **fields) == "unauthorized"


def test_an_expired_token_says_so() -> None:
    assert refusal(bearer=token(lifetime_s=0)) == "token_expired"


def test_a_ticket_brings_the_origin_it_is_bound_to() -> None:
    ticket = TICKETS.issue(Actor(user="42"), LISTED)
    found = identify(ticket=ticket, cross_site=True)  # an iframe on another site
    assert found == Identified(actor=Actor(user="42"), frame_origin=LISTED)


def test_a_ticket_from_another_page_is_used_up() -> None:
    ticket = TICKETS.issue(Actor(user="42"), LISTED)
    assert refusal(ticket=ticket, origin=OTHER) == "unauthorized"
    assert refusal(ticket=ticket, origin=LISTED) == "unauthorized"


def test_a_ticket_of_a_page_that_is_not_listed_is_no_use_there() -> None:
    ticket = TICKETS.issue(Actor(user="42"), OTHER)
    assert refusal(ticket=ticket, origin=OTHER) == "origin_forbidden"


def test_without_a_verifier_no_token_is_good() -> None:
    gate = Gate(verifier=None, api_keys=[API_LINE], tickets=TICKETS, origins=Origins([]), dev=False)
    assert refusal(gate, bearer=token()) == "unauthorized"
    assert refusal(gate, cookie=token()) == "unauthorized"
    assert identify(gate, bearer=API_KEY) is not None
    asyncio.run(gate.fetch_keys())


# ---- keys that must be fetched ----


class LateRing:
    """Knows its key only after it was asked for, or never."""

    def __init__(self, *, ever: bool) -> None:
        self.ever, self.asked = ever, 0
        self.inner = StaticKeys(secret=SECRET)

    @property
    def known(self) -> bool:
        return False

    def find(self, kid: str | None, alg: str) -> Key | None:
        return self.inner.find(kid, alg) if self.asked and self.ever else None

    async def refresh(self) -> None:
        self.asked += 1


def test_a_key_is_fetched_once() -> None:
    ring = LateRing(ever=True)
    gate = make(verifier=make_verifier(ring))
    assert identify(gate, bearer=token()) is None
    found = asyncio.run(gate.identify_fetching(**presented(bearer=token())))
    assert (found.actor.user, ring.asked) == ("42", 1)


def test_a_key_that_is_nowhere_is_unauthorized() -> None:
    ring = LateRing(ever=False)
    gate = make(verifier=make_verifier(ring))
    with pytest.raises(ReddotError) as caught:
        asyncio.run(gate.identify_fetching(**presented(cookie=token())))
    assert (caught.value.code, ring.asked) == ("unauthorized", 1)


def test_a_known_key_is_not_fetched() -> None:
    found = asyncio.run(GATE.identify_fetching(**presented(bearer=token())))
    assert found.actor.user == "42"


# ---- origins and credentials ----


@pytest.mark.parametrize("origin", [None, LISTED, OWN])
@pytest.mark.parametrize("kind", ["bearer", "cookie"])
def test_good_origins(kind: str, origin: str | None) -> None:
    assert user_of(identify(GATE, **{kind: token()}, origin=origin)) == "42"


@pytest.mark.parametrize("origin", [OTHER, "null", "", OWN + ":8443"])
@pytest.mark.parametrize("credential", [token(), API_KEY, "broken"])
@pytest.mark.parametrize("kind", ["bearer", "cookie"])
def test_a_page_that_is_not_listed_gets_nothing_done(
    kind: str, credential: str, origin: str
) -> None:
    assert refusal(GATE, **{kind: credential}, origin=origin) == "origin_forbidden"


def test_a_page_that_is_not_listed_may_be_anonymous() -> None:
    found = identify(origin=OTHER)
    assert found == Identified(actor=ANONYMOUS, origin_allowed=False)
    assert identify(origin=LISTED) == Identified(actor=ANONYMOUS, origin_allowed=True)


def test_a_cookie_does_not_come_along_from_another_site() -> None:
    assert refusal(cookie=token(), cross_site=True) == "origin_forbidden"
    assert user_of(identify(cookie=token(), cross_site=True, origin=LISTED)) == "42"
    assert user_of(identify(bearer=token(), cross_site=True)) == "42"  # no browser adds this one


def test_the_own_host_on_another_scheme_is_another_site() -> None:
    plain = f"http://{HOST}"
    assert user_of(identify(cookie=token(), origin=plain)) == "42"
    assert refusal(cookie=token(), origin=plain, cross_site=True) == "origin_forbidden"


def test_no_host_is_no_own_origin() -> None:
    assert refusal(cookie=token(), origin="https://", host=None) == "origin_forbidden"
    assert refusal(cookie=token(), origin="https://", host="x") == "origin_forbidden"


ALLOWED = (
    "https://example.com",
    "https://*.example.org",
    "http://localhost:3000",
    "capacitor://localhost",
)

LOOK_ALIKES = [
    "https://example.com.evil.example",
    "https://examplexcom",
    "https://evil-example.com",
    "https://evilexample.com",
    "https://www.example.com",
    "http://example.com",
    "https://example.com:443",
    "https://example.com:8443",
    "https://EXAMPLE.com",
    "HTTPS://example.com",
    "https://example.com/",
    "https://example.com.",
    "https://user@example.com",
    "https://example.com@evil.example",
    "https://example.com#evil.example",
    "https://example.com?evil.example",
    "https://example.com https://evil.example",
    "https://evil.example, https://example.com",
    " https://example.com",
    "https://example.com\n",
    "https://exámple.com",
    "https://example.co",
    "https://*.example.com",
    "null",
    "NULL",
    "",
    "*",
    "file://",
    "example.com",
    "//example.com",
    "https://example.org",
    "a.example.org",
    "https://.example.org",
    "https://*.example.org",
    "https://a.b.example.org",
    "https://a@b.example.org",
    "https://evil/a.example.org",
    "https://a:b.example.org",
    "https://A.example.org",
    "https://a.example.org:8443",
    "https://a.example.org.evil.example",
    "https://aexample.org",
    "http://a.example.org",
    "http://localhost",
    "https://localhost:3000",
    "http://localhost:30000",
    "capacitor://localhost:3000",
]


@pytest.mark.parametrize("origin", LOOK_ALIKES)
def test_look_alikes(origin: str) -> None:
    assert not Origins(ALLOWED).allows(origin, HOST)
    gate = make(allowed=ALLOWED)
    assert refusal(gate, cookie=token(), origin=origin) == "origin_forbidden"
    assert gate.allow_origin(origin, HOST) is None


@pytest.mark.parametrize(
    "origin",
    [
        *("https://example.com", "https://a.example.org", "https://a-b_1.example.org"),
        *("http://localhost:3000", "capacitor://localhost"),
    ],
)
def test_listed_origins(origin: str) -> None:
    gate = make(allowed=ALLOWED)
    assert user_of(identify(gate, cookie=token(), origin=origin)) == "42"
    assert gate.allow_origin(origin, HOST) == origin


def test_entries_are_written_as_browsers_write_origins() -> None:
    origins = Origins(
        ["HTTPS://Example.COM:443", "http://a.example:80", "https://*.b.example:8443"]
    )
    assert origins.allows("https://example.com", None)
    assert origins.allows("http://a.example", None)
    assert origins.allows("https://x.b.example:8443", None)
    assert not origins.allows("https://x.b.example", None)
    assert Origins(["http://[::1]:8000"]).allows("http://[::1]:8000", None)


@pytest.mark.parametrize(
    "entry",
    [
        *("*", "null", "", "example.com", "https://", "https://example.com/", "https://a.com/path"),
        *(
            "https://a@b.com",
            "https://a.com?x",
            "https://a.com, https://b.com",
            "https://exámple.com",
        ),
        *(
            "http://*.example.com",
            "https://*",
            "https://*.com",
            "https://a.*.com",
            "https://*x.a.com",
        ),
        *("https://*.*.example.com", "https://a.com:", "https://a.com:99999999", "https://a com"),
    ],
)
def test_entries_that_are_not_origins(entry: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Origins([entry])
    assert "\n" not in str(caught.value)


pieces = st.sampled_from(["http", "https", "://", "a.example", "example.com", ":80", "A", "/", "."])
texts = st.lists(pieces, max_size=4).map("".join)


@given(texts | st.text(max_size=40), st.none() | texts)
def test_only_own_and_listed_origins_are_allowed(origin: str, host: str | None) -> None:
    fine = ["https://example.com"]
    if host is not None:
        fine += [f"http://{host.lower()}", f"https://{host.lower()}"]
    assert Origins(["https://example.com"]).allows(origin, host) == (origin in fine)


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("https://push.example.com", "push.example.com", True),
        ("https://push.example.com", "PUSH.example.com", True),
        ("http://localhost:8000", "localhost:8000", True),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("http://localhost:8000", "localhost", False),
        ("http://localhost:8000", "127.0.0.1:8000", False),
        ("ftp://a", "a", False),
        ("https://a.example", "a.example.evil", False),
    ],
)
def test_the_own_origin(origin: str, host: str, own: bool) -> None:
    assert Origins([]).allows(origin, host) == own


def test_cors_names_the_origin_or_nothing() -> None:
    assert GATE.allow_origin(LISTED, HOST) == LISTED
    assert GATE.allow_origin(OWN, HOST) == OWN
    assert GATE.allow_origin(OTHER, HOST) is None
    assert GATE.allow_origin(None, HOST) is None


# ---- development ----


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:3000", "https://localhost", "http://127.0.0.1:5173", "http://[::1]:1"],
)
def test_pages_on_this_machine_count_as_listed_in_development(origin: str) -> None:
    assert user_of(identify(make(dev=True), cookie=token(), origin=origin, cross_site=True)) == "42"
    assert make(dev=True).allow_origin(origin, HOST) == origin
    assert refusal(cookie=token(), origin=origin) == "origin_forbidden"


@pytest.mark.parametrize(
    "origin", ["http://localhost.evil.example", "http://127.0.0.1.evil", "null"]
)
def test_other_pages_do_not(origin: str) -> None:
    assert refusal(make(dev=True), cookie=token(), origin=origin) == "origin_forbidden"


def test_names_are_believed_in_development_only() -> None:
    assert make(dev=True).believe("42") == Actor(user="42")
    for gate, name in ((GATE, "42"), (make(dev=True), ""), (make(dev=True), "a/b")):
        with pytest.raises(ReddotError) as caught:
            gate.believe(name)
        assert caught.value.code == "unauthorized"


# ---- API keys ----


def test_an_api_key_is_a_server() -> None:
    found = identify(bearer=API_KEY)
    assert found == Identified(actor=Actor(service=True, key=API_KEY[:11]))


def test_an_api_key_is_no_cookie() -> None:
    assert refusal(cookie=API_KEY) == "unauthorized"


def test_a_new_key_has_a_public_prefix_and_a_line_to_keep() -> None:
    key, line = make_api_key("A" * 42 + "_")
    assert key.startswith("rk_")
    assert key.endswith("_" + "A" * 42 + "_")
    assert line.startswith(key[:11] + ":sha256:")
    assert "AAAA" not in line
    assert ApiKeys([line]).actor(key) == ApiKeys([key]).actor(key)


@pytest.mark.parametrize("text", ["", "x" * 42, "x" * 43 + "!"])
def test_a_new_key_needs_randomness(text: str) -> None:
    with pytest.raises(AssertionError):
        make_api_key(text)


@pytest.mark.parametrize(
    "key",
    [
        API_KEY[:-1],
        API_KEY + "r",
        API_KEY + " ",
        API_KEY.upper(),
        API_KEY[:11],
        API_LINE,
        "rk_00000000_" + "r" * 43,
        "rk_" + "r" * 43,
        "rk_",
        "rk__",
        "rk_é_" + "r" * 43,
    ],
)
def test_other_keys_are_not(key: str) -> None:
    assert refusal(bearer=key) == "unauthorized"


def test_several_keys_and_a_shared_prefix() -> None:
    keys = ["rk_live_0123456789abcdef", "rk_live_fedcba9876543210", "rk_test_0123456789abcdef"]
    known = ApiKeys(keys)
    assert [known.actor(key).key for key in keys] == ["rk_live", "rk_live", "rk_test"]
    with pytest.raises(ReddotError):
        known.actor("rk_test_fedcba9876543210")


def test_keys_are_not_kept() -> None:
    assert "0123456789abcdef" not in repr(vars(ApiKeys(["rk_live_0123456789abcdef"])))


@pytest.mark.parametrize(
    "line",
    [
        *("", "secret", "rk_", "rk_live", "rk_live_", "rk_live_short", "rk_live_0123456789abcde"),
        *("rk_live:sha256:", "rk_live:sha256:" + "0" * 63, "rk_live:sha1:" + "0" * 40),
        *("rk_live:sha256:" + "G" * 64, "rk__0123456789abcdef"),
    ],
)
def test_lines_that_are_no_keys_stop_the_start(line: str) -> None:
    with pytest.raises(SettingsError):
        ApiKeys([line])


@pytest.mark.parametrize("line", ["rk_live_hunter2", "hunter2", "rk_hunter2", "hunter2:sha256:0"])
def test_the_complaint_does_not_tell_the_key(line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        ApiKeys([line])
    assert "hunter2" not in str(caught.value)
