"""A person starts a backfill from the form, watches it and opens its receipts, in a real browser on a real server.

The pictures lie in the test's directory, below `browser/pictures`: look at them after a change of texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from flows.deployments import declare
from flows.processes import Background
from flows.registration import register
from flows.server import LocalPrefect
from flows.settings import Settings
from tests.support.browser import Browser, browsing
from tests.support.s3 import S3
from tests.support.watching import wait_until

SOURCES = ("app", "cloudtrail")
REASON = "drops of early November came late"
FAST = {"PREFECT_WORKER_QUERY_SECONDS": "1"}
# To one label of the form belongs the block that holds it.
FIELD = "//div[contains(concat(' ', @class, ' '), ' schema-form-property ')][.//span[text()='{}']]"


@dataclass
class Machine:
    """A server, a worker and a WORM store, with drops of two days."""

    local: LocalPrefect
    client: SyncPrefectClient

    def page(self, path: str) -> str:
        return f"{self.local.url}{path}"

    def runs(self) -> dict[str, FlowRun]:
        """Runs of the backfill and of its days, by name."""
        wanted = FlowRunFilter.model_validate({"tags": {"all_": ["backfill"]}})
        return {run.name: run for run in self.client.read_flow_runs(flow_run_filter=wanted)}


@pytest.fixture
def machine(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    store = s3.fresh("indelible")
    values: dict[str, Any] = {
        "state": str(tmp_path / "state"),
        "store": {"uri": store.uri, **s3.section()},
        "landing": {"uris": {source: (tmp_path / source).as_uri() for source in SOURCES}},
    }
    for source in SOURCES:
        (tmp_path / source).mkdir()
    for day in (3, 4):
        lines = [json.dumps({"time": f"2026-11-0{day}T10:00:00Z", "message": f"line {n}"}) for n in range(50)]
        (tmp_path / "app" / f"2026-11-0{day}.ndjson").write_text("\n".join([*lines, "broken"]) + "\n")
    toml = [f"state = {values['state']!r}"]
    for section, content in (("store", values["store"]), ("landing.uris", values["landing"]["uris"])):
        toml += [f"[{section}]", *(f"{name} = {value!r}" for name, value in content.items())]
    (tmp_path / "indelible.toml").write_text("\n".join(toml) + "\n")
    monkeypatch.chdir(tmp_path)
    settings = Settings.model_validate(values)
    local = LocalPrefect.of(settings)
    processes = [_fast(local.server), _fast(local.worker)]
    processes[0].start()
    try:
        local.wait_for_server()
        with (
            temporary_settings({PREFECT_API_URL: f"{local.url}/api"}),
            get_client(sync_client=True) as client,
        ):
            declared = declare(settings.schedules, settings.recovery, SOURCES, [])
            wanted = [d for d in declared if d.name in {*SOURCES, "backfill", "recover"}]
            register(
                [replace(deployment, schedules=()) for deployment in wanted],
                SOURCES,
                settings.recovery,
                tmp_path,
            )
            processes[1].start()
            yield Machine(local, client)
    finally:
        for process in reversed(processes):
            process.stop()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with browsing(tmp_path / "browser") as browser:
        yield browser


@pytest.mark.timeout(600)
def test_a_backfill_is_started_watched_and_receipted_and_pages_ask_nobody_else(
    machine: Machine, browser: Browser
) -> None:
    deployment = machine.client.read_deployment_by_name("backfill/backfill")
    browser.open(machine.page(f"/deployments/deployment/{deployment.id}/run"))
    fill_in(browser)
    browser.picture("1-form")
    browser.find("//button[@type='submit']").click()
    browser.sees("scheduled to start now")

    backfill = wait_for(machine, "backfill-app-2026-11-03-to-2026-11-04")
    browser.open(machine.page(f"/runs/flow-run/{backfill.id}"))
    browser.sees("2 days asked for")
    browser.picture("2-run")
    open_receipt(browser)
    browser.sees(f"Reason given: {REASON}")
    browser.picture("3-backfill-receipt")

    day = wait_for(machine, "deliver-app-2026-11-03-to-2026-11-04")
    assert day.state_name == "Completed", day.state and day.state.message
    link = browser.find(f"//a[text()='{day.name}']").get_attribute("href")
    assert link == machine.page(f"/runs/flow-run/{day.id}")
    browser.open(link)  # a click would open another tab
    browser.sees("sealed as entry")
    browser.picture("4-run-of-a-day")
    open_receipt(browser)
    for text in ("app: 1 batch sealed", "(WORM)", "json.syntax", "indelible prove RECORD_ID -o record.proof"):
        browser.sees(text)
    browser.picture("5-delivery-receipt")

    browser.listen()
    assert (browser.asked, browser.refused) == ({"127.0.0.1"}, [])
    browser.open(machine.page("/v2/dashboard"))  # Prefect's other interface would ask an outside host
    wait_until(lambda: bool(heard(browser).refused))
    assert browser.asked == {"127.0.0.1"}
    assert all("https://" in message for message in browser.refused)


def heard(browser: Browser) -> Browser:
    browser.listen()
    return browser


def fill_in(browser: Browser) -> None:
    source = browser.find(FIELD.format("Source"))
    select = Select(source.find_element(By.TAG_NAME, "select"))
    assert [option.text for option in select.options] == list(SOURCES)
    select.select_by_visible_text("app")
    for label, day in (("Since", "2026-11-03"), ("Until", "2026-11-04")):
        wait_until(partial(_pick, browser, label, day))
    _input(browser, "Reason", "textarea").send_keys(REASON)
    labels = browser.driver.find_elements(By.CLASS_NAME, "schema-form-property__label")
    assert [label.text for label in labels] == ["Source", "Since", "Until", "Reason"]


def _pick(browser: Browser, label: str, day: str) -> bool:
    """Type into a date picker. The form may draw itself anew meanwhile, and forget."""
    year, month, number = day.split("-")
    _input(browser, label, "input").send_keys(month + number + year)
    return _input(browser, label, "input").get_attribute("value") == day


def _input(browser: Browser, label: str, tag: str) -> WebElement:
    return browser.find(f".//{tag}", browser.find(FIELD.format(label)))


def open_receipt(browser: Browser) -> None:
    """From the page of a run, by its tab of artifacts."""
    browser.find("//*[contains(concat(' ', @class, ' '), ' p-tab ')][normalize-space()='Artifacts']").click()
    browser.find("//*[contains(@class, 'flow-run-artifacts')]//*[contains(@class, 'artifact-card')]").click()


def wait_for(machine: Machine, name: str) -> FlowRun:
    """The run of that name, when it has ended."""

    def ended() -> bool:
        run = machine.runs().get(name)
        return run is not None and run.state is not None and run.state.is_final()

    wait_until(ended, timeout_s=240)
    return machine.runs()[name]


def _fast(process: Background) -> Background:
    return Background(process.role, process.directory, process.command, {**process.environment, **FAST})
