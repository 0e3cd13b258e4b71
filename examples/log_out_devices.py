"""Log out all devices of an account except the one that this program uses.

python log_out_devices.py                           on a Synapse started for this, as its user alice
python log_out_devices.py --homeserver example.org  on any other homeserver, as yourself
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Mapping

from _common import NotDoneError, agrees, arguments, call, logged_in, run, say, throwaway

from interactive_auth import Homeserver, StartAuthStage, console, handlers


def other_devices(homeserver: Homeserver) -> list[str]:
    """Show the account's devices, and return the ids of all but this one."""
    this = homeserver.whoami().get("device_id")
    devices = call(homeserver, "GET", "devices")["devices"]
    for device in devices:
        mark = " (this one)" if device["device_id"] == this else ""
        say(f"  {device['device_id']} {device.get('display_name') or ''}{mark}")
    return [device["device_id"] for device in devices if device["device_id"] != this]


def log_out(homeserver: Homeserver, devices: list[str], stages: Mapping[str, StartAuthStage]) -> None:
    """Log the devices out: their access tokens are void afterwards."""
    homeserver.delete_devices(devices).authenticate(stages)


def on_throwaway_synapse(options: argparse.Namespace) -> str:
    """Log out two of three devices of an account made for this."""
    with throwaway() as (synapse, _):
        password = secrets.token_urlsafe()
        account = synapse.add_user("alice", password)
        for name in ("A phone that was lost", "A browser at work"):
            synapse.log_in("alice", password, initial_device_display_name=name)
        with Homeserver(synapse.base_url, access_token=account["access_token"]) as homeserver:
            say("The devices were:")
            log_out(homeserver, other_devices(homeserver), {"m.login.password": handlers.password("alice", password)})
            say("And now:")
            left = other_devices(homeserver)
    return f"Other devices that are logged in: {len(left)}"


def on_homeserver(options: argparse.Namespace) -> str:
    """Log out the person's other devices."""
    with logged_in(options.homeserver) as (homeserver, user_id):
        others = other_devices(homeserver)
        if not others:
            return "There are no other devices"
        if not agrees(f"Log out all devices but this one ({len(others)} of {len(others) + 1})?"):
            raise NotDoneError("no device was logged out")
        log_out(homeserver, others, console.handlers(homeserver, user=user_id))
    return f"Devices logged out: {len(others)}"


if __name__ == "__main__":
    run(arguments(__doc__), on_throwaway_synapse, on_homeserver)
