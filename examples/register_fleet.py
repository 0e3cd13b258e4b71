"""Register many accounts, several at a time; if it is stopped, run it again, and it goes on where it was.

python register_fleet.py                           on a Synapse started for this
python register_fleet.py --homeserver example.org  on any other homeserver; it asks you for the token

Each account has a file in the folder, which only you may read: its password, and in the end its access token.
"""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _common import NotDoneError, Show, agrees, arguments, ask, check_offered, in_threads, run, save, say, throwaway
from throwaway_synapse import TOKEN

from interactive_auth import Homeserver, InteractiveAuth, MatrixError, ResumeState, RetryPolicy, handlers

#: Homeservers slow down people who register many accounts, and say for how long.
PATIENT = RetryPolicy(retries=5, max_wait=3600.0)


def register(homeserver: Homeserver, file: Path, token: str, running: list[InteractiveAuth[Any]], show: Show) -> None:
    """Register the account of a file, unless it is; wherever this ends, it can be called again."""
    if not file.exists():
        save(file, {"password": secrets.token_urlsafe()})  # before the homeserver knows it
    account = json.loads(file.read_text())
    if "access_token" in account:
        return
    state = account.pop("auth", {})
    answers = {
        "m.login.registration_token": handlers.registration_token(token),
        "m.login.terms": handlers.terms(lambda policies: True),  # the person has agreed beforehand
    }

    def keep(state: ResumeState) -> None:
        # Before each request: a session that is lost holds one use of the token until it expires.
        save(file, {**account, "auth": state})

    # A device that logs in again takes the place of itself, so that each account has one whatever happens.
    body: dict[str, Any] = {"password": account["password"], "device_id": "FLEET"}
    request = homeserver.register(file.stem, **body)
    auth = InteractiveAuth(request, answers, retry=PATIENT, state_changed=keep, wait_changed=show, **state)
    running.append(auth)
    try:
        made: Mapping[str, Any] = auth.attempt_auth()
    except MatrixError as error:
        if error.errcode != "M_USER_IN_USE":
            raise
        # Ours, if the password is: the answer was lost. /login has no stages, but the loop waits and retries anyway.
        body |= {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": file.stem}}
        login = homeserver.uia_request("POST", "/_matrix/client/v3/login", body)
        waiting = InteractiveAuth(login, {}, retry=PATIENT, wait_changed=show)
        running.append(waiting)
        try:
            made = waiting.attempt_auth()
        except MatrixError as refusal:
            raise error if refusal.errcode == "M_FORBIDDEN" else refusal from None
    save(file, {**account, **made})


def register_all(base_url: str, token: str, options: argparse.Namespace, folder: Path) -> str:
    """Register what is not registered yet; the names begin with the folder's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = [folder / f"{folder.name}{number:03}.json" for number in range(1, options.accounts + 1)]
    running: list[InteractiveAuth[Any]] = []
    say(f"Registering {len(files)} accounts, {options.threads} at a time; each has a file in {folder}")
    with Homeserver(base_url) as homeserver:

        def work(file: Path, show: Show) -> None:
            register(homeserver, file, token, running, show)

        in_threads(work, files, options.threads, running, options.rerun)
    return f"{len(files)} accounts are registered"


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Register them with a token that is good for that many."""
    options.rerun = "another run begins anew, on another homeserver"
    with throwaway(TOKEN) as (synapse, _), tempfile.TemporaryDirectory() as folder:
        synapse.add_registration_token("please-let-us-in", uses_allowed=options.accounts)
        done = register_all(synapse.base_url, "please-let-us-in", options, Path(folder, "fleet"))
        uses = synapse.admin("GET", "/_synapse/admin/v1/registration_tokens/please-let-us-in")
        say(f"Of the token's uses, {uses['completed']} are completed and {uses['pending']} pending")
        return done


def on_homeserver(options: argparse.Namespace) -> str:
    """Register them where the person likes."""
    options.rerun = f"run it again to go on; what is done is in {options.folder}"
    with Homeserver(options.homeserver) as homeserver:
        check_offered(homeserver, "register")
    token = ask("Registration token (anything, if none is wanted): ", secret=True)
    if not agrees("Do you accept the homeserver's terms of service, if it has any, for all accounts?"):
        raise NotDoneError("nothing was registered")
    return register_all(options.homeserver, token, options, options.folder)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--accounts", type=int, default=100, help="how many (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=8, help="how many at a time (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("fleet"), help="of the files (default: %(default)s)")
    run(parser, on_throwaway_synapse, on_homeserver)
