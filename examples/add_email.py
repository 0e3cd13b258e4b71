"""Add an email address to an account: its owner opens a mailed link, and then enters the password.

python add_email.py                           on a Synapse started for this, as its user alice
python add_email.py --homeserver example.org  on any other homeserver, as yourself
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable, Mapping

from _common import arguments, ask, call, logged_in, run, say, throwaway

from interactive_auth import Homeserver, InteractiveAuth, MatrixError, StartAuthStage, console, handlers

ADDRESS = "alice@example.org"


def add_email(
    homeserver: Homeserver, address: str, wait: Callable[[], object], stages: Mapping[str, StartAuthStage]
) -> None:
    """Add an address; ``wait`` returns when its owner has opened the link, or claims so."""
    client_secret = secrets.token_hex(16)
    sid = homeserver.request_email_token("account/3pid", address, client_secret)["sid"]
    auth = InteractiveAuth(homeserver.add_threepid(client_secret, sid), stages)
    while True:
        wait()
        try:
            auth.attempt_auth()
            return
        except MatrixError as error:
            if error.errcode != "M_THREEPID_AUTH_FAILED":
                raise
            say(f"The link was not opened yet: {error.error}")  # the next attempt goes on in the same session


def addresses(homeserver: Homeserver) -> str:
    """Return the addresses on the account."""
    return ", ".join(threepid["address"] for threepid in call(homeserver, "GET", "account/3pid")["threepids"])


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Add an address to an account made for this."""
    with throwaway() as (synapse, mails):
        password = secrets.token_urlsafe()
        account = synapse.add_user("alice", password)
        with Homeserver(synapse.base_url, access_token=account["access_token"]) as homeserver:
            stages = {"m.login.password": handlers.password("alice", password)}
            add_email(homeserver, ADDRESS, lambda: mails.open_link(ADDRESS), stages)
            return f"On the account of {account['user_id']}: {addresses(homeserver)}"


def on_homeserver(options: argparse.Namespace) -> str:
    """Add an address to the person's account."""
    with logged_in(options.homeserver) as (homeserver, user_id):
        address = ask("Email address: ")

        def wait() -> None:
            ask(f"Open the link in the mail to {address}, then press Enter: ", default="done")

        add_email(homeserver, address, wait, console.handlers(homeserver, user=user_id))
        return f"On the account of {user_id}: {addresses(homeserver)}"


if __name__ == "__main__":
    run(arguments(__doc__), on_throwaway_synapse, on_homeserver)
