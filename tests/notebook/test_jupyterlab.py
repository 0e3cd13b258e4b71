"""A person who signs up in a real JupyterLab: prompts in the page, addresses to click, and one line for the waiting."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
import requests
from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait
from throwaway_services import MailServer, mail_server
from throwaway_synapse import TERMS, TOKEN, Synapse, email, free_port, throwaway_synapse

#: Seconds; JupyterLab takes a few to start and to show itself.
PATIENCE = 120.0

CELL = """
from interactive_auth import Homeserver, console

homeserver = Homeserver({base_url!r})
account = homeserver.register({name!r}, "a password").authenticate(console.handlers(homeserver), poll_interval=0.5)
print("Registered:", account["user_id"])
"""

#: Nothing that asks somebody on the network, or asks the person whether it may.
QUIET = '{"fetchNews": "false", "checkForUpdates": false}'


class Lab:
    """A JupyterLab in the browser, and a person before it."""

    def __init__(self, chromium: Chrome) -> None:
        self.chromium = chromium

    def until(self, condition: Callable[[Chrome], Any]) -> Any:
        """Wait until something holds in the page."""
        passing = [ElementClickInterceptedException, StaleElementReferenceException]
        wait = WebDriverWait(self.chromium, PATIENCE, 0.05, ignored_exceptions=passing)
        return wait.until(condition)

    def find(self, selector: str) -> list[WebElement]:
        return self.chromium.find_elements(By.CSS_SELECTOR, selector)

    def open(self, url: str) -> None:
        """Open a notebook, and wait until its kernel can be told to run something."""
        self.chromium.get(url)
        self.until(lambda driver: self.find(".jp-Notebook-ExecutionIndicator[data-status=idle]"))

    def run_cell(self) -> None:
        """Run the first cell, as Ctrl-Enter does, and choose the kernel if JupyterLab asks for it."""

        def press(driver: Chrome) -> bool:
            editors = [e for e in self.find(".jp-CodeCell .cm-content") if e.is_displayed()]
            if editors:
                editors[0].click()
                ActionChains(driver).key_down(Keys.CONTROL).send_keys(Keys.ENTER).key_up(Keys.CONTROL).perform()
            return bool(editors)

        def runs(_driver: Chrome) -> bool:
            # The kernel shows as idle some moments before the notebook knows that it has one; told to run something
            # just then, JupyterLab has the person select the kernel first.
            for button in self.find(".jp-Dialog .jp-mod-accept"):
                button.click()
            return any(prompt.text == "[*]:" for prompt in self.find(".jp-InputPrompt"))

        self.until(press)
        self.until(runs)

    def answer(self, prompt: str, text: str) -> str:
        """Answer a prompt; gives the type of the field that it had."""
        (field,) = self.until(
            lambda driver: [
                found
                for found in self.find(".jp-Stdin-input")
                if prompt in found.find_element(By.XPATH, "..").text + (found.get_attribute("placeholder") or "")
            ]
        )
        kind = str(field.get_attribute("type"))
        field.send_keys(text, Keys.ENTER)
        return kind

    @property
    def text(self) -> str:
        """What is shown below the cell."""
        return "\n".join(area.text for area in self.find(".jp-OutputArea-output"))


@pytest.fixture
def inbox() -> Iterator[MailServer]:
    """Keep the homeserver's mails."""
    with mail_server(MailServer()) as server:
        yield server


@pytest.fixture
def synapse(inbox: MailServer) -> Iterator[Synapse]:
    """Run a homeserver that wants a token, its terms accepted, and an email address."""
    with throwaway_synapse(email(inbox.port), TOKEN, TERMS) as running:
        yield running


@pytest.fixture
def jupyterlab(tmp_path: Path, jupyter_home: Path) -> Iterator[Callable[[str], str]]:
    """Run a JupyterLab; gives a function that starts a notebook's kernel, and returns its address."""
    settings = jupyter_home / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(QUIET)
    port, token = free_port(), secrets.token_hex(16)
    base_url = f"http://127.0.0.1:{port}"
    options = [
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={tmp_path}",
        "--LabApp.extension_manager=readonly",
    ]
    command = [sys.executable, "-m", "jupyterlab", *options]
    with open(jupyter_home / "output", "wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, "JUPYTER_TOKEN": token},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_up(process, f"{base_url}/api/status", token, jupyter_home / "output")

        def open_notebook(name: str) -> str:
            # Two kernels are started, and one of them is stopped, if JupyterLab is to start it for itself.
            session = {"name": name, "path": name, "type": "notebook", "kernel": {"name": "python3"}}
            headers = {"Authorization": f"token {token}"}
            requests.post(
                f"{base_url}/api/sessions", json=session, headers=headers, timeout=PATIENCE
            ).raise_for_status()
            return f"{base_url}/lab/tree/{name}?token={token}"

        yield open_notebook
    finally:
        process.terminate()  # it stops its kernels, too
        try:
            process.wait(PATIENCE)
        finally:  # a kernel whose JupyterLab is gone stops by itself
            process.kill()
            process.wait()


def wait_until_up(process: subprocess.Popen[bytes], url: str, token: str, output: Path) -> None:
    """Wait until JupyterLab answers."""
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, output.read_text()
        assert time.monotonic() < deadline, output.read_text()
        try:
            answer = requests.get(url, headers={"Authorization": f"token {token}"}, timeout=PATIENCE)
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            answer.raise_for_status()
            return


@pytest.fixture
def lab(chromium: Chrome) -> Iterator[Lab]:
    """Sit down before the browser, whose window is wide enough for JupyterLab, and leave it as it was."""
    size = chromium.get_window_size()
    chromium.set_window_size(1280, 900)
    yield Lab(chromium)
    chromium.get("about:blank")
    chromium.set_window_size(size["width"], size["height"])


def test_a_sign_up_with_prompts(
    tmp_path: Path, lab: Lab, jupyterlab: Callable[[str], str], synapse: Synapse, inbox: MailServer
) -> None:
    """Each prompt is a field, the token's a hidden one; what is shown can be clicked, and the account is there."""
    token, name = f"token-{secrets.token_hex(8)}", f"user{secrets.token_hex(4)}"
    address = f"{name}@example.org"
    synapse.add_registration_token(token, uses_allowed=1)
    cell = nbformat.v4.new_code_cell(CELL.strip().format(base_url=synapse.base_url, name=name))
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), tmp_path / "signup.ipynb")

    lab.open(jupyterlab("signup.ipynb"))
    lab.run_cell()

    kinds = [lab.answer("Registration token (hidden):", token)]
    lab.until(lambda driver: lab.find(f".jp-OutputArea-output a[href='{synapse.base_url}/_matrix/consent?v=1.0']"))
    kinds.append(lab.answer("Do you accept?", "y"))
    kinds.append(lab.answer("Email address:", address))
    link = inbox.wait_for_link(address)
    seen: set[str] = set()

    def has_counted_down(driver: Chrome) -> bool:
        seen.update(re.findall(r"gives up in \d:\d\d", lab.text))
        return len(seen) >= 3

    lab.until(has_counted_down)
    assert lab.text.count("gives up in") == 1, lab.text
    requests.get(link, timeout=PATIENCE).raise_for_status()
    user_id = f"@{name}:{synapse.server_name}"
    lab.until(lambda driver: f"Registered: {user_id}" in lab.text)

    assert kinds == ["password", "text", "text"]
    assert token not in lab.chromium.page_source
    assert lab.text.count("gives up in") == 0, lab.text
    account = synapse.admin("GET", f"/_synapse/admin/v2/users/{user_id}")
    assert [threepid["address"] for threepid in account["threepids"]] == [address]
