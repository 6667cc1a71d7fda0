"""A run of chaos: incidents and faults, then a last incident without faults, then the evidence."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Any, Self

import asyncpg
from redis.asyncio import Redis

from chaos.alerts import Alerts
from chaos.audit.evidence import Effect, Evidence
from chaos.audit.ledger_copy import read_ledger
from chaos.configuration import BOUNDS, CALL, GATE_TARGET, TIGHT
from chaos.environment import Environment
from chaos.incidents import Incidents
from chaos.lost_connections import NO_ANSWER
from chaos.observer import Observer
from chaos.oncall import Operator
from chaos.scene import Scene
from chaos.schedule import LANES, Step
from chaos.sender import Sender
from chaos.server_logs import read_terminations
from demo.polling import poll

START_SECONDS = 60.0
RESTART_SECONDS = 1.0
QUIET_SECONDS = 40.0
LAST_SECONDS = 90.0
_LAST_SESSIONS, _LAST_JOBS = 2, 6
_WORK = (
    "SELECT (SELECT count(*) FROM delivery WHERE processed_at IS NULL)"
    " + (SELECT count(*) FROM run WHERE state = ANY ($1))"
)
_ACTIVE = ["planned", "prechecked", "admitted", "executing", "verifying"]


@dataclass
class Chaos:
    """All that acts in a run."""

    scene: Scene
    observer: Observer
    alerts: Alerts
    sender: Sender
    incidents: Incidents
    operator: Operator

    @classmethod
    def of(cls, environment: Environment, seed: int, log: Callable[[str], None]) -> Self:
        """Return the actors in `environment`; each has a random order of its own, from the seed."""
        http, token = environment.http, environment.token
        redis = Redis(port=environment.redis.port, decode_responses=True)
        urls = [replica.url for replica in environment.replicas]
        ledger, dsn = environment.ledger, environment.product_dsn
        observer = Observer(ledger.dsn, lambda: len(ledger.failovers), urls, redis, http)
        return cls(
            Scene(environment, observer, log),
            observer,
            Alerts(dsn, redis, [each.url for each in environment.alertmanagers], http),
            Sender(
                environment.gate,
                environment.recorder_url,
                len(urls),
                token,
                http,
                _random(seed, "sender"),
                lambda: observer.gate_free_at,
            ),
            Incidents(
                dsn, _url(environment.jobs.port), _url(environment.upstream.port), http, _random(seed, "incidents")
            ),
            Operator(urls, token, http, _random(seed, "operator")),
        )

    async def run(self, steps: Sequence[Step]) -> Evidence:
        """Run the faults, then judge whether the loop still works; return the evidence."""
        async with _running(self._manage(), self.observer.watch(), self.alerts.watch(), self.operator.work()):
            await self._wait_for_leader()
            async with _running(self.sender.send(), self.incidents.inject()):
                await self._faults(steps)
            await self._wait_for_quiet()
            fixed_after = await self._last_incident()
            await self._wait_for_quiet()
        return await self._evidence(fixed_after)

    async def _manage(self) -> None:
        """Play the service manager of the replicas."""
        while True:
            for replica in self.scene.environment.replicas:
                await asyncio.to_thread(replica.keep_running)
            await asyncio.sleep(RESTART_SECONDS)

    async def _wait_for_leader(self) -> None:
        if await poll(self._leader_pid, bool, START_SECONDS) is None:
            raise RuntimeError(f"no replica leads after {START_SECONDS:.0f} s; see {self.scene.environment.folder}")

    async def _leader_pid(self) -> int | None:
        return self.observer.leader_pid

    async def _faults(self, steps: Sequence[Step]) -> None:
        """Run the lanes side by side."""
        begun = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for lane in LANES:
                group.create_task(self._lane([step for step in steps if step.lane == lane], begun))

    async def _lane(self, steps: Sequence[Step], begun: float) -> None:
        loop = asyncio.get_running_loop()
        for step in steps:
            await asyncio.sleep(max(0.0, begun + step.at - loop.time()))
            self.scene.log(str(step))
            self.scene.faults[step.fault] += 1
            await LANES[step.lane][step.fault](self.scene, step.seconds)

    async def _last_incident(self) -> float | None:
        """Inject one more of each incident, now that all is well; return how long it took to fix them."""
        self.scene.log("all faults have ended; a last incident")
        begun = asyncio.get_running_loop().time()
        await self.incidents.idle_sessions(_LAST_SESSIONS, LAST_SECONDS * 2)
        jobs = await self.incidents.failed_jobs(_LAST_JOBS)
        fixed = await poll(lambda: self._fixed(jobs), bool, LAST_SECONDS, 0.5)
        await self.incidents.end_sessions()
        return asyncio.get_running_loop().time() - begun if fixed else None

    async def _fixed(self, jobs: Sequence[str]) -> bool:
        if self.incidents.open_sessions:
            return False
        with suppress(*NO_ANSWER):
            return set(await self.incidents.states(jobs)) == {"completed"}
        return False

    async def _wait_for_quiet(self) -> None:
        """Wait until every delivery is processed and no run is under way."""
        await poll(self._work_left, lambda work: work == 0, QUIET_SECONDS, 0.5)

    async def _work_left(self) -> int:
        connection = await asyncpg.connect(self.observer.dsn(), server_settings={"search_path": "runbookd"})
        try:
            return int(await connection.fetchval(_WORK, _ACTIVE))
        finally:
            await connection.close()

    async def _evidence(self, fixed_after: float | None) -> Evidence:
        """Stop the replicas, so that nothing changes any more, and read everything."""
        environment = self.scene.environment
        ends = (asyncio.to_thread(replica.end, signal.SIGTERM) for replica in environment.replicas)
        await asyncio.gather(*ends)
        await self.observer.read_events()
        await self.observer.redis.aclose()
        terminations = read_terminations(environment.postgres.process.log)
        calls = [Effect(at, CALL, f"{TIGHT}/commands/{GATE_TARGET}") for at in environment.gate.openings]
        return Evidence(
            bounds=BOUNDS,
            ledger=await read_ledger(environment.ledger.dsn()),
            accepted=environment.recorder.accepted,
            effects=[*terminations.effects, *self.observer.retries, *calls],
            ended_otherwise=terminations.ended_with_server | self.incidents.closed,
            samples=self.observer.samples,
            admitted_at=self.observer.admitted_at,
            failovers=environment.ledger.failovers,
            lifted_at=self.operator.lifted_at,
            lost_leaders=self.scene.lost_leaders,
            outages=self.scene.outages,
            double_leaders=self.observer.double_leaders,
            restarts=sum(replica.restarts for replica in environment.replicas),
            fixed_after=fixed_after,
        )


def _random(seed: int, name: str) -> Random:
    return Random(f"{seed} {name}")  # noqa: S311 - the order of incidents protects nothing


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@asynccontextmanager
async def _running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run endless work beside the block; an error of it ends the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
        yield
        for task in tasks:
            task.cancel()
