"""A program that registers, is interrupted by Ctrl-C while it waits, and tries again: run by test_interrupt.py.

Its arguments are a homeserver's address, a user name and an email address, which may be empty. A line on its
standard input tells it to try again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from interactive_auth import Homeserver, InteractiveAuth, Stage, _retry

EMAIL = "m.login.email.identity"


def main(base_url: str, username: str, address: str) -> None:
    interrupted = False

    def start_auth_stage(stage: Stage) -> Mapping[str, Any] | None:
        if stage.type != EMAIL:
            return {"type": stage.type}
        if interrupted:
            auth.poll()
        print("waiting", flush=True)
        return None

    # The first wait of the retries takes half a second; this way, it is certain to be the wait that is interrupted.
    assert _retry._FIRST_WAIT < 60.0
    _retry._FIRST_WAIT = 60.0
    with Homeserver(base_url) as homeserver:
        request = homeserver.register(username, "secret")
        auth = InteractiveAuth(
            request,
            start_auth_stage,
            inputs={"email_address": address},
            poll_interval=60.0,
        )
        try:
            auth.attempt_auth()
        except KeyboardInterrupt:
            interrupted = True
            print(f"interrupted in {auth.get_session_id()}", flush=True)
        input()
        account = auth.attempt_auth()
        print(f"finished {account['user_id']} in {auth.get_session_id()}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
