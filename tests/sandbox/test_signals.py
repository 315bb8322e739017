"""Signals while a run goes on, and while it is cleaned up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from auditor.sandbox.signals import ENDING, orderly_end, shielded

Context = Callable[[], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """What is in force after a test is what was in force before."""
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    assert {number: signal.getsignal(number) for number in ENDING} == before


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_a_run_as_ctrl_c_does(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt, match=number.name), orderly_end():
        send(number)


def test_a_second_signal_does_not_hit_what_the_first_one_began() -> None:
    done = []

    def run() -> None:
        with orderly_end():
            try:
                send(signal.SIGINT)
            finally:
                send(signal.SIGINT)
                send(signal.SIGTERM)
                done.append("cleaned")

    with pytest.raises(KeyboardInterrupt):
        run()

    assert done == ["cleaned"]


@pytest.mark.parametrize("number", ENDING)
def test_the_clean_up_goes_on_and_says_so(number: signal.Signals) -> None:
    told: list[str] = []

    with shielded(told.append, remedy="auditor clean --run 0123456789"):
        send(number)
        send(number)

    assert len(told) == 2
    assert told[0].startswith(f"{number.name}: what the run made is being removed")
    assert told[0].endswith("auditor clean --run 0123456789")


def test_within_a_run_the_shield_holds_and_is_taken_down_again() -> None:
    told: list[str] = []

    def run() -> None:
        with orderly_end():
            with shielded(told.append):
                send(signal.SIGTERM)
            told.append("taken down")
            send(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        run()

    assert len(told) == 2
    assert told[-1] == "taken down"


@pytest.mark.parametrize("context", [orderly_end, lambda: shielded(print)])
def test_threads_have_no_signals_and_nothing_breaks(context: Context) -> None:
    done = []

    def work() -> None:
        with context():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert done == [True]


PROGRAM = """
import sys, time
from auditor.sandbox.signals import orderly_end, shielded
try:
    with orderly_end():
        try:
            print("running", flush=True)
            time.sleep(60)
        finally:
            with shielded(lambda text: print(text, flush=True)):
                print("cleaning", flush=True)
                for _ in range(10):
                    time.sleep(0.05)
                print("cleaned", flush=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_a_process_that_is_told_to_end_cleans_up_whatever_is_sent_meanwhile() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()

    assert rest.splitlines()[0].startswith("SIGINT: what the run made is being removed")
    assert rest.splitlines()[-1] == "cleaned"
    assert process.returncode == 130
