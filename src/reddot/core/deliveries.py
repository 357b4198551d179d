"""The dispatcher: whatever falls due is looked at, and what the rules let through goes out. Core.

A turn works out whom new notifications reach, leases what is due, judges it and hands it to
couriers. Attempts run beside each other, bounded per courier; what comes of them is settled
together. A delivery is in hand from its lease until it is settled, so it is never in two attempts
of one node; a node that dies leaves leases that end. At least once: every attempt has one id. Of
couriers that are to be given nothing twice, what is about to be handed over is noted before; if
nobody gets to know what came of it, it is a dead letter.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final

import msgspec

from reddot.core.breaker import Breaker, Circuit
from reddot.core.once import at_risk, is_lost, nobody_knows, over
from reddot.core.pace import Pace
from reddot.core.ruling import Bench, Job, Judge, message_of
from reddot.counters import Counters
from reddot.delivery import Outcome, Parcel, State, Verdict
from reddot.errors import ReddotError
from reddot.outreach import Address, Case, Lease, Settled
from reddot.ports import Clock, Courier, Deliveries, Entropy

EXPAND_ROWS: Final = 100
IDLE_S: Final = 1.0
AHEAD: Final = 2
"""So many times the attempts that may run at once are taken in hand, so that none waits."""
AHEAD_S: Final = 0.6
"""What goes out in this time at the pace is taken in hand: a few large rounds are felt less."""
ROUND_MAX: Final = 100
"""So many at most are leased, or settled, in one transaction: publications wait for it."""
GATHER_S: Final = 0.2
"""So long a result waits for others, to be settled in one transaction with them."""
DIGEST_MAX: Final = 100
TTL_S_MAX: Final = 86_400


class DeliveryLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of deliveries; the defaults are those of the settings table."""

    delivery_concurrency_max: int = 8
    delivery_attempts_per_s: int = 50
    delivery_attempts_max: int = 8
    delivery_backoff_s: float = 5.0
    delivery_backoff_s_max: float = 3600.0
    delivery_lease_s: float = 120.0
    breaker_failures_max: int = 10
    breaker_open_s: float = 30.0


class Outlet:
    """One courier, and what is in hand for it.

    Attributes:
        once: what it may have been given is not given to it again.
        waiting: judged, and not begun.
        sending: attempts under way.
        in_hand: leased deliveries.
        paused: until its pace lets the next one go.
    """

    def __init__(
        self, name: str, courier: Courier, breaker: Breaker, pace: Pace, *, once: bool
    ) -> None:
        self.name = name
        self.courier = courier
        self.breaker = breaker
        self.pace = pace
        self.once = once
        self.paused = False
        self.waiting: deque[Job] = deque()
        self.sending = 0
        self.in_hand = 0


class Removed:
    """Stands for a courier that the settings do not have any more: what waits for it ends."""

    async def send(self, parcel: Parcel) -> Outcome:
        return Outcome(verdict=Verdict.FAILED, reason="courier_removed")

    def check(self, address: object) -> bytes:
        raise ReddotError("not_found", "no such courier")

    async def aclose(self) -> None:
        """Nothing to close."""


class Dispatcher:
    """One per node.

    Args:
        couriers: by their names in plans.
        once: those of them that are to be given nothing twice, rather not at all.
        warm: has badges of people at hand from now on.
        unread: a person's badge at this moment.
        later: calls something after so many seconds.
    """

    def __init__(
        self,
        *,
        queue: Deliveries,
        couriers: Mapping[str, Courier],
        once: Collection[str],
        judge: Judge,
        warm: Callable[[Collection[str]], Awaitable[None]],
        unread: Callable[[str], Awaitable[int]],
        clock: Clock,
        entropy: Entropy,
        counters: Counters,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        later: Callable[[float, Callable[[], None]], Any],
        limits: DeliveryLimits,
    ) -> None:
        self._queue = queue
        self._once = once
        self._bench = Bench(judge)
        self._warm = warm
        self._unread = unread
        self._clock = clock
        self._entropy = entropy
        self._counters = counters
        self._spawn = spawn
        self._later = later
        self._limits = limits
        self._fresh = True
        self._closing = False
        self._wake = asyncio.Event()
        self._in_hand: set[int] = set()
        self._results: list[Settled] = []
        self._holds: dict[int, int] = {}
        self._settling = False
        self._gathering = False
        self.outlets = {name: self._outlet(name, one) for name, one in couriers.items()}

    def _outlet(self, name: str, courier: Courier) -> Outlet:
        breaker = Breaker(
            clock=self._clock,
            failures_max=self._limits.breaker_failures_max,
            open_s=self._limits.breaker_open_s,
        )
        pace = Pace(clock=self._clock, per_s=self._limits.delivery_attempts_per_s)
        return Outlet(name, courier, breaker, pace, once=name in self._once)

    # ---- when ----

    def hint(self) -> None:
        """Something new is to be delivered, or an operator has changed something."""
        self._fresh = True
        self._wake.set()

    async def adopt(self) -> None:
        """See to what waits for couriers that there are no more; call it now and then.

        When it falls due it is judged like everything else, and what would go out is a dead letter.
        """
        for name in await self._queue.couriers():
            if name not in self.outlets:
                self.outlets[name] = self._outlet(name, Removed())
                self._wake.set()

    async def run(self) -> None:
        """Take turns for ever; a store that does not answer is asked again."""
        while not self._closing:
            self._wake.clear()
            try:
                more = await self.turn()
                delay_s = 0.0 if more else await self._delay_s()
            except ReddotError:
                delay_s = IDLE_S
            if delay_s > 0:
                timer = self._later(delay_s, self._wake.set)
                await self._wake.wait()
                timer.cancel()

    async def _delay_s(self) -> float:
        """How long nothing will be due that could go out."""
        free = [outlet.name for outlet in self.outlets.values() if self._room(outlet)]
        next_ms = await self._queue.next_ms(free) if free else None
        delays = [IDLE_S]
        if next_ms is not None:
            delays.append((next_ms - self._clock.wall_ms()) / 1000)
        delays += [o.breaker.wait_s for o in self.outlets.values() if o.breaker.wait_s]
        return max(min(delays), 0.001)

    async def turn(self) -> bool:
        """One turn; True: there may be more to do at once."""
        await self._settle()
        if self._fresh:
            self._fresh = False
            self._fresh = await self._queue.expand(rows_max=EXPAND_ROWS) or self._fresh
        served = False
        for outlet in list(self.outlets.values()):
            served = await self._serve(outlet) or served
        return self._fresh or served

    # ---- from due to judged ----

    def _room(self, outlet: Outlet) -> int:
        """How many more may be taken in hand; 0 until it is worth a lease."""
        if self._closing:
            return 0
        most = outlet.breaker.room(self._limits.delivery_concurrency_max)
        most = self._ahead(most) if most > 1 else most
        room = most - outlet.in_hand
        return room if room * 2 >= most else 0

    def _ahead(self, at_once: int) -> int:
        """How many to take in hand: what can begin, at the pace, long before its lease ends."""
        per_s = self._limits.delivery_attempts_per_s
        most = max(at_once * AHEAD, int(per_s * AHEAD_S))
        return min(most, max(1, int(per_s * self._limits.delivery_lease_s / 4))) if per_s else most

    async def _serve(self, outlet: Outlet) -> bool:
        room = self._room(outlet)
        if not room:
            return False
        found = await self._queue.lease(
            outlet.name, limit=min(room, ROUND_MAX), until_ms=self._until_ms()
        )
        leases = self._take(outlet, found)
        if leases:
            await self._judge(outlet, leases)
        return bool(found)

    def _until_ms(self) -> int:
        return self._clock.wall_ms() + int(self._limits.delivery_lease_s * 1000)

    def _take(self, outlet: Outlet, found: Sequence[Lease]) -> list[Lease]:
        leases = [lease for lease in found if lease.id not in self._in_hand]
        self._in_hand.update(lease.id for lease in leases)
        outlet.in_hand += len(leases)
        return leases

    async def _judge(self, outlet: Outlet, leases: Sequence[Lease]) -> None:
        now_ms = self._clock.wall_ms()
        since_ms = now_ms - self._bench.window_ms(leases)
        mine = list(leases)
        try:
            cases = await self._queue.cases(leases, since_ms=since_ms)
            cases, buried = self._without_lost(outlet, cases)
            found = self._bench.judge(cases, now_ms)
            found.settled += buried
            for job in found.jobs:
                if job.case.lease.digest:
                    found.settled += await self._gather(outlet, job, mine)
            going = [job.case.lease for job in found.jobs]
            if going:
                await asyncio.gather(self._queue.grant(going), self._warm_all(going))
        except ReddotError:
            self._let_go(outlet, mine)
            raise
        held = {one.lease.id for one in found.settled}
        held.update(lease.id for job in found.jobs for lease in job.leases)
        self._let_go(outlet, [lease for lease in mine if lease.id not in held])
        self._holds |= found.holds
        outlet.waiting += found.jobs
        self._pump(outlet)
        self._finish(outlet, found.settled)

    async def _gather(self, outlet: Outlet, job: Job, mine: list[Lease]) -> list[Settled]:
        """Take the rest of a digest in hand, into `mine`; what of it does not go out."""
        lease = job.case.lease
        more = await self._queue.lease_digest(
            lease.user, lease.courier, limit=DIGEST_MAX, until_ms=self._until_ms()
        )
        leases = self._take(outlet, more)
        mine += leases
        if not leases:
            return []
        now_ms = self._clock.wall_ms()
        cases = await self._queue.cases(leases, since_ms=now_ms)
        cases, buried = self._without_lost(outlet, cases)
        return self._bench.fold(job, cases, now_ms) + buried

    def _without_lost(
        self, outlet: Outlet, cases: Sequence[Case]
    ) -> tuple[Sequence[Case], list[Settled]]:
        """Those that something may still be sent of, and what becomes of the others."""
        if not outlet.once:
            return cases, []
        lost = [self._outcome(Job(case, "due", []), []) for case in cases if is_lost(case)]
        return [case for case in cases if not is_lost(case)], lost

    def _let_go(self, outlet: Outlet, leases: Sequence[Lease]) -> None:
        """Not ours any more: their lease will end, or they are gone."""
        self._in_hand.difference_update(lease.id for lease in leases)
        outlet.in_hand -= len(leases)

    # ---- from judged to sent ----

    def _pump(self, outlet: Outlet) -> None:
        """Begin as many attempts as may run at once."""
        most = outlet.breaker.room(self._limits.delivery_concurrency_max)
        if not most or self._closing:
            self._give_back(outlet)
        jobs = []
        while outlet.waiting and outlet.sending < most:
            if not outlet.pace.take():
                self._pump_later(outlet)
                break
            outlet.sending += 1
            jobs.append(outlet.waiting.popleft())
        if jobs and outlet.once:
            self._spawn(self._hand_over(outlet, jobs))
        else:
            for job in jobs:
                self._spawn(self._send(outlet, job))

    def _pump_later(self, outlet: Outlet) -> None:
        def pump() -> None:
            outlet.paused = False
            self._pump(outlet)

        if not outlet.paused:
            outlet.paused = True
            self._later(outlet.pace.rest_s, pump)

    def _give_back(self, outlet: Outlet) -> None:
        """What has not begun is somebody's again."""
        jobs, outlet.waiting = outlet.waiting, deque()
        self._finish(outlet, [_kept(lease) for job in jobs for lease in job.leases])

    async def _hand_over(self, outlet: Outlet, jobs: Sequence[Job]) -> None:
        """Send what is noted as handed over, and is ours still; the rest is somebody's again."""
        unknown = {one.id: at_risk(job) for job in jobs for one in job.leases}
        noted: Collection[int] = ()
        with suppress(ReddotError):
            noted = await self._queue.hand_over(unknown)
        for job in jobs:
            if not self._closing and all(lease.id in noted for lease in job.leases):
                self._spawn(self._send(outlet, job))
            else:
                outlet.sending -= 1
                self._finish(outlet, [_kept(lease) for lease in job.leases])
        self._pump(outlet)

    async def _send(self, outlet: Outlet, job: Job) -> None:
        try:
            tried = await self._attempts(outlet, job)
        finally:
            outlet.sending -= 1
        settled = self._settled(job, tried)
        self._finish(outlet, settled)
        self._pump(outlet)

    async def _attempts(self, outlet: Outlet, job: Job) -> list[tuple[Address, Outcome]]:
        """One attempt at each address that has not had it."""
        lease, message = job.case.lease, message_of(job)
        unread = await self._unread_of(lease.user)
        past = over(lease, once=outlet.once)
        tried = []
        for address in job.case.addresses:
            if address.slot in past:
                continue
            parcel = Parcel(
                id=parcel_id(lease, address),
                user=lease.user,
                address=address.value,
                message=message,
                unread=unread,
                ttl_s=self._ttl_s(job),
                attempt=lease.attempts + 1,
            )
            outcome = await self._attempt(outlet, parcel)
            outlet.breaker.record(blame=outcome.blame)
            tried.append((address, outcome))
        return tried

    async def _attempt(self, outlet: Outlet, parcel: Parcel) -> Outcome:
        try:
            async with asyncio.timeout(self._limits.delivery_lease_s / 2):
                return await attempt(outlet.courier, parcel)
        except TimeoutError:
            return Outcome(verdict=Verdict.RETRY, reason="timeout", blame=True, unknown=True)

    async def _warm_all(self, leases: Sequence[Lease]) -> None:
        with suppress(ReddotError):  # They are asked for again, one by one.
            await self._warm([lease.user for lease in leases])

    async def _unread_of(self, user: str) -> int:
        try:
            return await self._unread(user)
        except ReddotError:
            return 0  # A number that is not known is no reason not to reach somebody.

    def _ttl_s(self, job: Job) -> int:
        expires_ms = job.case.expires_ms
        if expires_ms is None:
            return TTL_S_MAX
        return max(1, min(TTL_S_MAX, (expires_ms - self._clock.wall_ms()) // 1000))

    def _settled(self, job: Job, tried: Sequence[tuple[Address, Outcome]]) -> list[Settled]:
        """What becomes of a delivery, and of what was folded into it."""
        first, lease = self._outcome(job, tried), job.case.lease
        rest = []
        for case in job.folded:
            state = State.FOLDED if first.state is State.SENT else first.state
            one = msgspec.structs.replace(first, lease=case.lease, state=state, gone=())
            if state is State.FOLDED:
                one = msgspec.structs.replace(one, reason="digest", detail=lease.notification)
            rest.append(one)
        return [first, *rest]

    def _outcome(self, job: Job, tried: Sequence[tuple[Address, Outcome]]) -> Settled:
        lease = job.case.lease
        attempts = lease.attempts + 1
        sent = [address.slot for address, o in tried if o.verdict is Verdict.SENT]
        done = (*lease.done, *sent)
        gone = tuple(address for address, o in tried if o.verdict is Verdict.GONE)
        once = self.outlets[lease.courier].once
        lost = [(address.slot, o) for address, o in tried if once and o.unknown]
        unknown = (*lease.unknown, *(slot for slot, _ in lost)) if once else ()
        retry = [o for _, o in tried if o.verdict is Verdict.RETRY and not (once and o.unknown)]
        failed = [outcome for _, outcome in tried if outcome.verdict is Verdict.FAILED]
        due_ms = 0
        if retry and attempts < self._limits.delivery_attempts_max:
            state, last, due_ms = State.PENDING, retry[0], self._again_ms(attempts, retry)
        elif done or not (tried or unknown):
            state, last = State.SENT, Outcome(verdict=Verdict.SENT, reason=job.reason)
        elif unknown:
            state, last = State.DEAD, nobody_knows([outcome for _, outcome in lost])
        elif retry or failed:
            state, last = State.DEAD, (retry or failed)[0]
        else:
            state, last = State.SKIPPED, tried[0][1]  # Nobody is there any more.
            last = msgspec.structs.replace(last, reason="no_address", detail=last.reason)
        return Settled(
            lease=lease,
            state=state,
            reason=last.reason,
            detail=last.detail[:200],
            due_ms=due_ms,
            attempts=attempts,
            done=done,
            gone=gone,
            unknown=unknown,
        )

    def _again_ms(self, attempts: int, outcomes: Sequence[Outcome]) -> int:
        """Exponential with full jitter, not before the provider has asked for, and bounded."""
        limits = self._limits
        most = min(limits.delivery_backoff_s_max, limits.delivery_backoff_s * 2 ** (attempts - 1))
        asked = max((one.retry_after_s or 0.0 for one in outcomes), default=0.0)
        delay_s = max(most * self._entropy.fraction(), min(asked, limits.delivery_backoff_s_max))
        return self._clock.wall_ms() + int(delay_s * 1000)

    # ---- from sent to settled ----

    def _finish(self, outlet: Outlet, results: Sequence[Settled]) -> None:
        """Have results settled, together with what else comes until then."""
        for one in results:
            self._counters.deliver(outlet.name, one.state.value, one.reason)
        self._results += results
        if not self._results or self._settling:
            return
        if self._closing or outlet.once or not (outlet.sending or outlet.waiting):
            self._spawn(self._settle_soon())
        elif not self._gathering:
            self._gathering = True
            self._later(GATHER_S, self._gathered)

    def _gathered(self) -> None:
        self._gathering = False
        self._spawn(self._settle_soon())

    async def _settle_soon(self) -> None:
        try:
            await self._settle()
        except ReddotError:
            return  # The next turn tries again.

    async def _settle(self) -> None:
        if self._settling:
            return
        self._settling = True
        try:
            while self._results:
                results, self._results = self._results[:ROUND_MAX], self._results[ROUND_MAX:]
                holds, self._holds = self._holds, {}
                try:
                    await self._queue.settle(results, holds)
                except ReddotError:
                    self._results, self._holds = results + self._results, holds | self._holds
                    raise
                for one in results:
                    self._let_go(self.outlets[one.lease.courier], [one.lease])
                self._wake.set()
        finally:
            self._settling = False

    # ---- the end ----

    @property
    def circuits(self) -> dict[str, Circuit]:
        """The state of each courier's circuit."""
        return {name: outlet.breaker.circuit for name, outlet in self.outlets.items()}

    @property
    def busy(self) -> bool:
        """Whether an attempt is under way, or its result not settled."""
        sending = any(outlet.sending for outlet in self.outlets.values())
        return sending or self._settling or bool(self._results)

    @property
    def busy_once(self) -> bool:
        """The same, as far as an attempt would not be made again."""
        return any(outlet.once and outlet.in_hand for outlet in self.outlets.values())

    def drain(self) -> None:
        """Begin nothing new, and give back what has not begun; `busy` until the rest is done."""
        self._closing = True
        self._wake.set()
        for outlet in self.outlets.values():
            self._give_back(outlet)


async def attempt(courier: Courier, parcel: Parcel) -> Outcome:
    """What comes of handing a parcel to a courier. A courier's own bug must not stop the others."""
    try:
        return await courier.send(parcel)
    except Exception as error:  # noqa: BLE001
        detail = f"{type(error).__name__}: {error}"[:200]
        reason = "courier_failed"
        return Outcome(verdict=Verdict.RETRY, reason=reason, detail=detail, unknown=True)


def parcel_id(lease: Lease, address: Address) -> str:
    """The same for every attempt: made of notification, person and courier, and of the slot where
    there are several addresses."""
    text = "\0".join((lease.notification, lease.user, lease.courier))
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
    return f"{digest}-{address.slot}" if address.slot else digest


def _kept(lease: Lease) -> Settled:
    """Back as it was."""
    return Settled(
        lease=lease,
        state=State.PENDING,
        reason="released",
        due_ms=lease.due_ms,
        attempts=lease.attempts,
        done=lease.done,
        unknown=lease.unknown,
    )
