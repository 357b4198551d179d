"""Who may subscribe and publish where (DESIGN 2.4).

Core: pure, no I/O. Input is an `Actor` whose credential was checked already; `core.gate` does that.
Invariants: nobody but user X and admins subscribes below `users/X`; no wildcard, in a grant or in
a filter, reaches into people's topics; the answer never depends on whether a topic exists.

The order of the questions is the policy: admin, `$…`, the rule's `deny`, people's topics, then
what is open, then what is granted. An administrator who has proven nothing is bound by `deny`.
"""

from __future__ import annotations

from typing import Final

from reddot.core.rules import Action, TopicRules
from reddot.core.topics import check_topic, covers, is_exact, matches
from reddot.errors import ReddotError
from reddot.model import EVERYONE, USERS_ROOT, Actor

USER_BYTES_MAX: Final = 256
_RESERVED: Final = frozenset(("$SYS", "$share", "$queue", "$inbox", "$CONTROL"))


def is_user_name(name: str) -> bool:
    """Whether a user can have this name, which is one level of the topic `users/{name}`.

    So: 1 to 256 bytes of UTF-8 without `/`, `+`, `#` and control characters.
    """
    try:
        check_topic(name, bytes_max=USER_BYTES_MAX, levels_max=1)
    except ReddotError:
        return False
    return True


def inbox_filters(actor: Actor) -> tuple[str, ...]:
    """The topics that reach a user unasked: their own and `everyone`. Nothing for the others."""
    return () if actor.user is None else (f"{USERS_ROOT}/{actor.user}", EVERYONE)


def is_reserved(text: str) -> bool:
    """Whether a topic is the server's own, where nobody else publishes, administrators included."""
    return text.split("/", 1)[0] in _RESERVED


def is_anonymous(actor: Actor) -> bool:
    """Whether a better credential could help; a valid one that grants too little is not this."""
    known = actor.user is not None or actor.admin or actor.service
    return not (known or actor.subscribe or actor.publish)


def require_admin(actor: Actor) -> None:
    """Raises `unauthorized` or `forbidden` unless it is the operator, or a server's key."""
    if not (actor.admin or actor.service):
        raise ReddotError("unauthorized" if is_anonymous(actor) else "forbidden")


class Policy:
    """Decides for one actor and one filter or topic.

    Args:
        rules: what the operator says about topics.
        dev: where a grant is asked for, nobody needs one. People's topics stay private, so that
            an application built in development keeps working outside it.
    """

    def __init__(self, rules: TopicRules, dev: bool) -> None:
        self._rules: Final = rules
        self._dev: Final = dev

    def check_subscribe(self, actor: Actor, text: str) -> None:
        """Return if `actor` may receive everything that the valid filter `text` selects.

        A single topic is a filter too: reading its history or presence asks the same question.

        Raises:
            ReddotError: `unauthorized` for an anonymous actor, else `forbidden`; the same for
                topics that exist and that do not.
        """
        if not self.may_subscribe(actor, text):
            raise _refused(actor, "subscribe", text)

    def may_subscribe(self, actor: Actor, text: str) -> bool:
        """Whether `check_subscribe` would return."""
        denied = actor.bound and self._rules.verdict(text, "subscribe") == "deny"
        return (actor.admin and not denied) or self._may_subscribe(actor, text)

    def _may_subscribe(self, actor: Actor, text: str) -> bool:
        if text.startswith("$"):
            return False
        verdict = self._rules.verdict(text, "subscribe")
        if verdict == "deny":
            return False
        if _is_personal(text):
            return _owns(actor, text)
        if verdict == "anyone" or self._dev:
            return True
        if text == EVERYONE and actor.user is not None:
            return True
        return any(covers(grant, text) for grant in actor.subscribe)

    def check_publish(self, actor: Actor, topic: str) -> None:
        """Return if `actor` may publish to the valid topic.

        `deny` in a rule binds people and their tokens; servers with an API key are the ones who
        feed such a topic. `anyone` in a rule opens neither `users/…` nor `everyone`.

        Raises:
            ReddotError: `unauthorized` for an anonymous actor, else `forbidden`.
        """
        denied = actor.bound and self._rules.of(topic).publish == "deny"
        if not ((actor.admin and not denied) or self._may_publish(actor, topic)):
            raise _refused(actor, "publish", topic)

    def _may_publish(self, actor: Actor, topic: str) -> bool:
        if topic.startswith("$"):
            return False
        if actor.service:
            return True
        verdict = self._rules.of(topic).publish
        if verdict == "deny":
            return False
        if self._dev:
            return True
        if topic == EVERYONE:
            return EVERYONE in actor.publish
        if _is_personal(topic):
            return any(_names_person(grant) and matches(grant, topic) for grant in actor.publish)
        return verdict == "anyone" or any(matches(grant, topic) for grant in actor.publish)


def _is_personal(text: str) -> bool:
    """Whether a filter selects only topics of people. One that selects some of them cannot be."""
    return text == USERS_ROOT or text.startswith(USERS_ROOT + "/")


def _owns(actor: Actor, text: str) -> bool:
    """Whether the filter stays within `users/{self}`; its second level must say so literally."""
    if actor.user is None:
        return False
    own = f"{USERS_ROOT}/{actor.user}"
    return text == own or text.startswith(own + "/")


def _names_person(grant: str) -> bool:
    """Whether a grant names its person: `users/42/#` does, `users/+` and `#` do not."""
    return is_exact("/".join(grant.split("/", 2)[:2]))


def _refused(actor: Actor, action: Action, text: str) -> ReddotError:
    code = "unauthorized" if is_anonymous(actor) else "forbidden"
    preposition = "" if action == "subscribe" else "to "
    return ReddotError(code, f"no grant to {action} {preposition}{text!r}")
