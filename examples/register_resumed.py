"""Register with a token and an email address; stop it at any moment, and go on in another process.

python register_resumed.py                           both processes, on a Synapse started for this
python register_resumed.py --homeserver example.org  on any other homeserver; run it again to go on

The sign-up is kept in the file named by --state, its password, too; only you may read it, and it is gone in the end.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

from _common import arguments, ask, check_offered, play, run, save, say, throwaway
from throwaway_synapse import TOKEN

from interactive_auth import Homeserver, ResumeState, console, handlers


def begin(homeserver: Homeserver) -> dict[str, Any]:
    """Ask the person for what a sign-up begins with."""
    check_offered(homeserver, "register")
    begun = {"username": ask("User name: "), "password": ask("Password: ", secret=True)}
    return {**begun, "auth": {"inputs": {"email_address": ask("Email address: ")}}}


def on_homeserver(options: argparse.Namespace) -> str:
    """Begin a sign-up, or go on with the one in the file."""
    file: Path = options.state
    with Homeserver(options.homeserver) as homeserver:
        saved = json.loads(file.read_text()) if file.exists() else begin(homeserver)
        say(f"Signing up {saved['username']}; if this is stopped, run it again to go on")

        def keep(state: ResumeState) -> None:  # before each request, and whenever it has changed
            save(file, {**saved, "auth": state})

        stages = console.handlers(homeserver) | {
            "m.login.registration_token": handlers.registration_token(lambda: ask("Token: ", secret=True)),
            "m.login.email.identity": handlers.email(lambda: say("Waiting until you open the link in the mail")),
        }
        request = homeserver.register(saved["username"], saved["password"], inhibit_login=True)
        account = request.authenticate(stages, state_changed=keep, **saved["auth"])
    file.unlink(missing_ok=True)
    return f"{account['user_id']} is registered"


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Kill one process while it waits, open the link, and run another; the token would let no other session in."""
    token, demands = secrets.token_hex(8), {**TOKEN, "registrations_require_3pid": ["email"]}
    with throwaway(demands) as (synapse, mails), tempfile.TemporaryDirectory() as folder:
        synapse.add_registration_token(token, uses_allowed=1)
        command = [sys.executable, __file__, "--homeserver", synapse.base_url, "--state", str(Path(folder, "state"))]
        answers = ("alice", secrets.token_urlsafe(), "alice@example.org", token)
        play("First process", command, answers, kill_at="Waiting until you")
        mails.open_link("alice@example.org")
        say("The first process was killed, and then the link in the mail was opened")
        play("Second process", command)
        return "What the first process had begun, the second one has finished"


if __name__ == "__main__":
    parser = arguments(__doc__)
    default = Path("sign_up.json")
    parser.add_argument("--state", type=Path, default=default, help="file of the sign-up (default: %(default)s)")
    run(parser, on_throwaway_synapse, on_homeserver)
