"""Whoever waits learns how far it is, and the log says what was done."""

from __future__ import annotations

import io
import threading

import pytest

from attncourse.grading.keeping import runlog
from attncourse.grading.running.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_line_tells_students_rate_and_time_left():
    clock = Clock()
    progress = Progress(40, stream=io.StringIO(), clock=clock)
    for _ in range(10):
        clock.now += 0.5
        progress.done("ada")
    assert progress.line("ada") == "10/40 done, 2.0 a second, 15 s left  ada"


def test_a_terminal_gets_one_changing_line():
    clock, stream = Clock(), Terminal()
    progress = Progress(3, stream=stream, clock=clock)
    for student in ("ada", "bao", "chidi"):
        clock.now += 1
        progress.done(student)
    progress.end()
    told = stream.getvalue()
    assert told.count("\n") == 1
    assert told.endswith("\r\x1b[K3 done in 3.0 s\n")
    assert "2/3 done, 1.0 a second, 1.0 s left  bao" in told


def test_a_file_gets_a_line_now_and_then_and_the_last():
    clock, stream = Clock(), io.StringIO()
    progress = Progress(100, stream=stream, clock=clock)
    for number in range(100):
        clock.now += 0.25
        progress.done(f"s{number}")
    told = stream.getvalue().splitlines()
    assert [line.split()[0] for line in told] == [
        "40/100",
        "80/100",
        "100/100",
    ]


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_student_cannot_steer_the_terminal(stream):
    progress = Progress(1, stream=stream)
    progress.done("ada\x1b]0;owned\x07\u202e\n")
    progress.note("\x1b[2Jbao")
    told = stream.getvalue().replace("\r\x1b[K", "")
    assert not set(told) & {"\x1b", "\x07", "\u202e"}


def test_nothing_to_do_says_nothing():
    stream = io.StringIO()
    Progress(0, stream=stream).end()
    assert stream.getvalue() == ""


def test_a_log_keeps_what_was_done(tmp_path):
    log = runlog.RunLog(tmp_path / "log" / "grading.jsonl")
    log.write("start", versions=runlog.versions())
    log.write("graded", student="bäo\n", points=3.5)
    first, second = runlog.read(log.file)
    assert first["event"] == "start"
    assert "numpy" in first["versions"]
    assert (second["student"], second["points"]) == ("bäo\n", 3.5)
    assert second["when"].endswith("+00:00")


def test_a_line_that_a_crash_cut_short_costs_only_itself(tmp_path):
    file = tmp_path / "grading.jsonl"
    file.write_text('{"event": "graded", "stud')
    runlog.RunLog(file).write("start")
    assert [each["event"] for each in runlog.read(file)] == ["start"]


def test_lines_of_several_graders_do_not_mix(tmp_path):
    file = tmp_path / "grading.jsonl"

    def write(name):
        for number in range(50):
            runlog.RunLog(file).write(name, number=number, more="x" * 300)

    threads = [threading.Thread(target=write, args=(n,)) for n in "abcd"]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(runlog.read(file)) == 200


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path):
    log = runlog.RunLog(tmp_path)
    log.write("start")
    assert isinstance(log.failed, IsADirectoryError)
    runlog.RunLog(None).write("start")
