"""What the agent says reaches the reader whole, or the reader knows that it did not."""

import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.sandbox.agent import framing
from auditor.sandbox.agent.framing import frames, parse

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
OBSERVATIONS = st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=5)
PIPE_BUF_BYTES = 4096


def written(observations: list[dict[str, Any]], *, end: bool = True) -> str:
    records: list[dict[str, Any]] = [{"result": each} for each in observations]
    records += [{"end": len(observations)}] if end else []
    return "".join(line for number, record in enumerate(records) for line in frames(number, record))


def large(characters: int = 50_000) -> dict[str, Any]:
    return {"samples": "x" * characters}


@given(OBSERVATIONS)
def test_what_is_written_is_read(observations: list[dict[str, Any]]) -> None:
    log = parse(written(observations))

    assert log.results == observations
    assert log.is_whole


@given(OBSERVATIONS, st.integers(min_value=0))
def test_a_log_that_was_cut_is_never_whole(observations: list[dict[str, Any]], cut: int) -> None:
    text = written(observations)
    shorter = text[: cut % (len(text) - 1)]  # the last end of line alone is no loss

    log = parse(shorter)

    assert not log.is_whole
    assert log.results == observations[: len(log.results)]


@given(OBSERVATIONS, st.data())
def test_a_log_without_one_of_its_lines_is_never_whole(observations: list[dict[str, Any]], data: st.DataObject) -> None:
    lines = written([*observations, large(9_000)]).splitlines(keepends=True)
    del lines[data.draw(st.integers(min_value=0, max_value=len(lines) - 1))]

    assert not parse("".join(lines)).is_whole


@given(OBSERVATIONS, st.data())
def test_a_changed_character_is_noticed(observations: list[dict[str, Any]], data: st.DataObject) -> None:
    text = written(observations)
    place = data.draw(st.integers(min_value=0, max_value=len(text) - 2))
    changed = data.draw(st.characters(codec="ascii").filter(lambda character: character != text[place]))

    log = parse(text[:place] + changed + text[place + 1 :])

    assert not log.is_whole or log.results == observations


@given(OBSERVATIONS, st.lists(st.text(alphabet=st.characters(blacklist_characters="@\n"))))
def test_what_others_write_between_the_lines_does_no_harm(observations: list[dict[str, Any]], noise: list[str]) -> None:
    lines = written(observations).splitlines(keepends=True)
    mixed = [piece for index, line in enumerate(lines) for piece in (*noise[index : index + 1], line)]

    log = parse("".join(mixed))

    assert log.results == observations
    assert log.is_whole


def test_lines_fit_into_a_pipe_and_into_the_log_of_any_runtime() -> None:
    lines = list(frames(123, {"result": large()}))

    assert len(lines) > 1
    assert max(len(line.encode()) for line in lines) <= PIPE_BUF_BYTES


def test_pieces_may_come_in_any_order() -> None:
    lines = written([large()]).splitlines(keepends=True)

    assert parse("".join(reversed(lines))).results == [large()]


def test_a_line_that_another_one_tore_is_damage() -> None:
    first, second = written([{"a": 1}], end=False), written([{"a": 1}, {"b": 2}], end=False).splitlines()[1]

    log = parse(first[:30] + second + "\n" + written([]).replace("@auditor 0", "@auditor 2"))

    assert log.results == [{"b": 2}]
    assert log.damaged
    assert not log.is_whole


def test_an_error_is_told() -> None:
    text = "".join(frames(0, {"result": {"a": 1}})) + "".join(frames(1, {"error": "OSError: no disk"}))

    log = parse(text)

    assert log.results == [{"a": 1}]
    assert log.error == "OSError: no disk"
    assert not log.is_whole


def test_the_writer_writes_what_the_reader_reads() -> None:
    reading, writing = os.pipe()
    writer = framing.Writer(writing)

    writer.result({"seconds": [0.1, 0.2]})
    writer.result({"text": "ü\n@auditor"})
    writer.end()

    os.close(writing)
    with os.fdopen(reading) as pipe:
        log = parse(pipe.read())
    assert log.results == [{"seconds": [0.1, 0.2]}, {"text": "ü\n@auditor"}]
    assert log.is_whole


def test_numbers_that_json_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        list(frames(0, {"result": {"mean": float("nan")}}))


def test_an_empty_log_is_not_whole() -> None:
    assert parse("").announced is None
    assert not parse("").is_whole
    assert json.dumps(parse("").results) == "[]"
