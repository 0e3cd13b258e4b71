"""The workers' side of register_queue.py: a sign-up as an actor of Dramatiq, which goes on in whichever worker is free.

dramatiq queue_actor    with REDIS_URL, HOMESERVER_URL and REGISTRATION_TOKEN in the environment

Redis keeps each sign-up as one JSON object: the password, when it began, and the state of its authentication.

What must not be here: who signs up, and who starts the workers.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import Retry
from redis.exceptions import LockError
from redis.lock import Lock

from interactive_auth import (
    AuthDeferredError,
    AuthTimeoutError,
    Homeserver,
    HomeserverConnectionError,
    InteractiveAuth,
    InteractiveAuthError,
    MatrixError,
    Stage,
    handlers,
)

#: Seconds that a request may take, and that a worker then has a sign-up for itself. A worker that was killed in a
#: request keeps the others away for as long, so that what it has sent is over when they send.
TIMEOUT, LOCK = 5.0, 6.0
#: Seconds after which a sign-up is given up, for example because nobody opens the link in the mail.
PATIENCE = 24 * 3600.0
#: A device that logs in again takes the place of itself, so that each account has one whatever happens.
DEVICE = "QUEUE"
#: Redis' hashes of JSON (the last one: of text) by user name. A sign-up is in one of them.
SIGN_UPS, ACCOUNTS, FAILURES = "sign-ups", "accounts", "failures"

# A worker that has shown no sign of life for as long is dead, and its messages go to the others. By default that takes
# a minute, and is looked for once in a thousand commands: minutes where there are few.
settings: Any = {"heartbeat_timeout": int(1000 * LOCK), "maintenance_chance": 200_000}
broker = RedisBroker(url=os.environ["REDIS_URL"], **settings)  # type: ignore[no-untyped-call]  # it has no types
dramatiq.set_broker(broker)
# Its types know nothing of decode_responses.
store: Any = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
homeserver = Homeserver(os.environ["HOMESERVER_URL"], timeout=TIMEOUT)


def begin(name: str, address: str) -> None:
    """Keep a new sign-up; one that is there already stays as it is. A message to ``sign_up`` then sets it going."""
    auth = {"inputs": {"email_address": address}}
    store.hsetnx(SIGN_UPS, name, json.dumps({"password": secrets.token_urlsafe(), "begun": time.time(), "auth": auth}))


def _goes_on(retries: int, error: BaseException) -> bool:
    """Return whether the sign-up goes on elsewhere: it waits, or its lock or Redis was lost."""
    return isinstance(error, (Retry, redis.RedisError))


# Where an error names no delay, it is min_backoff milliseconds, growing to max_backoff. A worker that is stopped ends
# its step, which is a few requests and no waiting, so notify_shutdown, which loses answers, is not needed.
@dramatiq.actor(
    retry_when=_goes_on,
    min_backoff=100,
    max_backoff=1000,
    on_retry_exhausted="give_up",
    time_limit=float("inf"),
)
def sign_up(name: str) -> None:
    """Do what can be done now for a sign-up, if no other worker is at it."""
    lock = store.lock(f"lock of {name}", timeout=LOCK)
    if not lock.acquire(blocking=False):
        # Held by a worker that is alive, and then this is a message that came twice, or by one that was killed.
        raise Retry(delay=1000)
    try:
        kept = store.hget(SIGN_UPS, name)
        if kept is not None:
            _go_on(name, json.loads(kept), lock)
    finally:
        with suppress(LockError):  # it was lost
            lock.release()


@dramatiq.actor
def give_up(message: dict[str, Any], counts: dict[str, Any]) -> None:
    """Note an error that ``sign_up`` does not know, so that it does not end in silence."""
    *_, error = message["options"]["traceback"].strip().splitlines()
    _end(message["args"][0], FAILURES, error)


def _go_on(name: str, record: Mapping[str, Any], lock: Lock) -> None:
    try:
        account = _register(name, record, lock)
    except InteractiveAuthError as error:
        delay = _delay(error, time.time() - record["begun"])
        if delay is not None:
            # Not all at once: a homeserver tells all who come too fast to come back at the same time.
            raise Retry(str(error), delay=int(1000 * delay * random.uniform(1, 1.25))) from None
        lock.reacquire()
        _end(name, FAILURES, str(error))
    else:
        lock.reacquire()  # or another worker may have logged in meanwhile, and this token is void
        _end(name, ACCOUNTS, json.dumps(account))


def _register(name: str, record: Mapping[str, Any], lock: Lock) -> Mapping[str, Any]:
    def save(state: Mapping[str, Any]) -> None:
        lock.reacquire()  # raises if it was lost, and then nothing is sent
        store.hset(SIGN_UPS, name, json.dumps({**record, "auth": state}))

    def look_for_mail(stage: Stage) -> None:
        if stage.email_sid != record["auth"].get("email_sid"):  # sent a moment ago: nobody can have opened its link
            raise AuthDeferredError(stage.type)

    answers = {
        "m.login.registration_token": handlers.registration_token(os.environ["REGISTRATION_TOKEN"]),
        "m.login.terms": handlers.terms(lambda policies: True),  # the person has agreed beforehand
        "m.login.email.identity": look_for_mail,
    }
    body: dict[str, Any] = {"password": record["password"], "device_id": DEVICE}
    request = homeserver.register(name, **body)
    # All waiting is the queue's: one look for the link, and after trouble or a rate limit no repetition here.
    auth = InteractiveAuth(request, answers, state_changed=save, poll_timeout=0, retry=None, **record["auth"])
    try:
        return auth.attempt_auth()
    except MatrixError as error:
        if error.errcode != "M_USER_IN_USE":
            raise
        # Ours, if the password is: the answer was lost. /login has no stages, but the loop asks for the lock anyway.
        body |= {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": name}}
        login = homeserver.uia_request("POST", "/_matrix/client/v3/login", body)
        try:
            made: Mapping[str, Any] = login.authenticate({}, retry=None, state_changed=lambda _: lock.reacquire())
        except MatrixError as refusal:
            raise error if refusal.errcode == "M_FORBIDDEN" else refusal from None
        return made


def _delay(error: InteractiveAuthError, waited: float) -> float | None:
    """Return in how many seconds a sign-up may go on, None if it cannot, or not in time."""
    pause = min(2 + waited / 20, 60)  # who waits for a person need not ask every two seconds all day
    if isinstance(error, MatrixError):
        if error.http_status not in (408, 425, 429) and error.http_status < 500:
            return None
        pause = max(pause, error.retry_after or 0)
    elif not isinstance(error, (AuthDeferredError, AuthTimeoutError, HomeserverConnectionError)):
        return None
    return pause if waited + pause < PATIENCE else None


def _end(name: str, where: str, what: str) -> None:
    with store.pipeline() as both:  # a transaction
        both.hdel(SIGN_UPS, name)
        both.hset(where, name, what)
        both.execute()
