"""A real browser without a window: Debian's Chromium, with a record of whom its pages ask."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

WAIT_S = 60
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # a container's root has no other choice
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--force-dark-mode",
    "--lang=en-US",
    "--window-size=1280,1500",
)


@dataclass
class Browser:
    """A browser.

    Attributes:
        pictures: where screenshots go.
        refused: what a page was told that the policy of its server forbids, as far as heard.
    """

    driver: webdriver.Chrome
    pictures: Path
    refused: list[str] = field(default_factory=list)
    _urls: dict[str, str] = field(default_factory=dict)

    def open(self, url: str) -> None:
        self.driver.get(url)

    def find(self, xpath: str, within: WebElement | None = None) -> WebElement:
        """The first element that an XPath finds, as soon as it is there and shown."""

        def shown(_: Any) -> WebElement | None:
            found = (within or self.driver).find_elements(By.XPATH, xpath)
            return next((element for element in found if element.is_displayed()), None)

        return WebDriverWait(self.driver, WAIT_S, 0.1).until(shown, f"{xpath} is not shown")  # type: ignore[return-value]

    def sees(self, text: str) -> None:
        """Wait until the page shows a text."""
        WebDriverWait(self.driver, WAIT_S, 0.1).until(
            lambda driver: text in driver.find_element(By.TAG_NAME, "body").text, f"{text!r} is not shown"
        )

    def picture(self, name: str) -> None:
        self.driver.save_screenshot(str(self.pictures / f"{name}.png"))

    def listen(self) -> None:
        """Take in whom pages asked since the last call."""
        for line in self.driver.get_log("performance"):  # type: ignore[no-untyped-call]
            message = json.loads(line["message"])["message"]
            about = message["params"]
            match message["method"]:
                case "Network.requestWillBeSent":
                    self._urls[about["requestId"]] = about["request"]["url"]
                case "Network.webSocketCreated":
                    self._urls[about["requestId"]] = about["url"]
        # What a policy forbids never gets as far as the network; the page is told so on its console.
        for line in self.driver.get_log("browser"):  # type: ignore[no-untyped-call]
            if "Content Security Policy" in line["message"]:
                self.refused.append(line["message"])

    @property
    def asked(self) -> set[str]:
        """Hosts that pages asked, as far as heard."""
        return _hosts(self._urls.values())


@contextmanager
def browsing(directory: Path) -> Iterator[Browser]:
    """Start it, with an empty profile."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for option in (*_OPTIONS, f"--user-data-dir={directory / 'profile'}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    pictures = directory / "pictures"
    pictures.mkdir(parents=True)
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    browser = Browser(driver, pictures)
    try:
        yield browser
    finally:
        browser.picture("last")
        driver.quit()


def _hosts(urls: Iterable[str]) -> set[str]:
    """Hosts, without the browser's own pages and what a page carries in itself."""
    parts = (urlsplit(url) for url in urls)
    return {part.hostname or "" for part in parts if part.scheme in {"http", "https", "ws", "wss"}}
