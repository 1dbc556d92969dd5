"""A chord as the manual shows it, to compare with: its body is handed every part's report.

`python -m benchmarks.plain_chord` is the worker that runs the body, with the settings of its
environment as `hostswarm control` has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from celery import Celery, chord, group

from orchestrator.synthesis import Circumstances, synthesize
from swarm_tasks import contracts, routing
from swarm_tasks.app import make_app, settings_of
from swarm_tasks.config import load_settings
from swarm_tasks.models.base import now_utc
from swarm_tasks.models.job import HostTask, Job, new_job_id
from swarm_tasks.models.report import HostReport
from swarm_tasks.store.client import connect
from swarm_tasks.store.commands import Commands
from swarm_tasks.store.leases import task_id

BODY = "bench.join"
QUEUE = "bench"
ANSWER = "bench:answer:{job}"
ANSWER_TTL_SECONDS = 60
START_SECONDS = 30.0


def send(app: Celery, job: Job, tasks: Sequence[HostTask]) -> None:
    """Fan a job out so that results travel through the chord."""
    header = group(
        app.signature(
            contracts.INVESTIGATE,
            args=(task.model_dump(mode="json", exclude_defaults=True),),
            options={
                "queue": routing.host_queue(task.host),
                "task_id": task_id(job.id, task.part),
            },
        )
        for task in tasks
    )
    body = app.signature(BODY, args=(job.model_dump_json(),), options={"queue": QUEUE})
    cast(Any, chord(header, body, app=app)).apply_async()


def wait(client: Commands, job: Job, seconds: float) -> None:
    """Until the body has made the report.

    Raises:
        RuntimeError: It did not in time.
    """
    if client.blpop([ANSWER.format(job=job.id)], timeout=seconds) is None:
        raise RuntimeError(f"the chord of job {job.id} did not end")


def await_worker(app: Celery, client: Commands) -> None:
    """Until the worker that joins has joined nothing."""
    job = Job(
        id=new_job_id(),
        hosts=("nobody",),
        specialists=("nothing",),
        created=now_utc(),
        deadline_seconds=1,
    )
    app.send_task(BODY, args=([], job.model_dump_json()), queue=QUEUE, ignore_result=True)
    wait(client, job, START_SECONDS)


def main() -> None:
    """Run the worker that joins."""
    app = make_app(load_settings())
    client = connect(settings_of(app))

    @app.task(name=BODY, ignore_result=True)
    def join(results: list[dict[str, Any]], job: str) -> None:  # pyright: ignore[reportUnusedFunction]
        asked = Job.model_validate_json(job)
        reports = [HostReport.model_validate(result) for result in results]
        report = synthesize(asked, reports, Circumstances(finished=now_utc()))
        key = ANSWER.format(job=asked.id)
        client.rpush(key, report.to_json(indent=None))
        client.expire(key, ANSWER_TTL_SECONDS)

    options = ("--pool", "threads", "--concurrency", "4", "--without-gossip", "--without-mingle")
    app.worker_main(["worker", *options, "--queues", QUEUE, "--hostname", "plain@bench"])


if __name__ == "__main__":
    main()
