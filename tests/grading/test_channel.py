"""Frames arrive whole or not at all, whatever the other side does."""

import os
import socket
import struct
import threading
import time

import pytest

from attncourse.grading.inside import channel
from attncourse.grading.inside.channel import (
    Channel,
    Closed,
    Garbled,
    Late,
    TooLong,
)


@pytest.fixture
def pair():
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def frame(data, size=None, magic=channel.MAGIC):
    size = len(data) if size is None else size
    return struct.pack("<4sQ", magic, size) + data


@pytest.mark.parametrize("size", [0, 1, 13, 65_536, 1_000_003])
def test_a_frame_arrives_as_it_was_sent(pair, size):
    here, there = (Channel(sock, 1 << 20) for sock in pair)
    data = os.urandom(size)
    sender = threading.Thread(target=here.send, args=(data, 5))
    sender.start()
    assert there.receive(5) == data
    sender.join()


def test_frames_that_arrive_together_are_told_apart(pair):
    here, there = (Channel(sock, 1 << 20) for sock in pair)
    for data in (b"one", b"", b"three"):
        here.send(data, 1)
    assert [there.receive(1) for _ in range(3)] == [b"one", b"", b"three"]


def test_a_frame_that_is_too_long_is_refused_before_it_is_read(pair):
    pair[0].sendall(frame(b"", size=1 << 60))
    with pytest.raises(TooLong, match="at most 100 bytes: got 1152921504"):
        Channel(pair[1], 100).receive(1)


def test_a_frame_that_is_too_long_is_not_sent(pair):
    with pytest.raises(TooLong, match="at most 2 bytes: got 3"):
        Channel(pair[0], 2).send(b"abc", 1)


def test_what_is_no_frame_is_refused(pair):
    pair[0].sendall(frame(b"data", magic=b"JUNK"))
    with pytest.raises(Garbled):
        Channel(pair[1], 100).receive(1)


def test_silence_is_late(pair):
    start = time.monotonic()
    with pytest.raises(Late):
        Channel(pair[1], 100).receive(0.05)
    assert 0.04 < time.monotonic() - start < 1


@pytest.mark.parametrize("sent", [1, 11, 12, 15])
def test_half_a_frame_is_late_and_may_be_awaited_again(pair, sent):
    there, whole = Channel(pair[1], 100), frame(b"answer")
    pair[0].sendall(whole[:sent])
    with pytest.raises(Late):
        there.receive(0.01)
    pair[0].sendall(whole[sent:])
    assert there.receive(1) == b"answer"


def test_a_slow_drip_does_not_move_the_deadline(pair):
    stop = threading.Event()

    def drip():
        for byte in frame(bytes(1000)):
            if stop.wait(0.005):
                return
            pair[0].send(bytes((byte,)))

    dripping = threading.Thread(target=drip)
    dripping.start()
    start = time.monotonic()
    with pytest.raises(Late):
        Channel(pair[1], 10_000).receive(0.1)
    assert time.monotonic() - start < 1
    stop.set()
    dripping.join()


def test_a_side_that_does_not_read_makes_the_sender_late(pair):
    here = Channel(pair[0], 1 << 24)
    with pytest.raises(Late):
        here.send(bytes(1 << 24), 0.05)
    with pytest.raises(Closed, match="in part"):
        here.send(b"more", 0.05)


def test_the_end_is_told(pair):
    here, there = (Channel(sock, 100) for sock in pair)
    pair[0].sendall(frame(b"half")[:-1])
    here.close()
    with pytest.raises(Closed):
        there.receive(1)
    with pytest.raises(Closed):
        there.send(b"hello", 1)


def test_what_was_sent_before_the_end_is_still_read(pair):
    with Channel(pair[0], 100) as here:
        here.send(b"last words", 1)
    there = Channel(pair[1], 100)
    assert there.receive(1) == b"last words"
    with pytest.raises(Closed):
        there.receive(None)


def test_a_closed_socket_of_ones_own_is_closed(pair):
    here = Channel(pair[0], 100)
    here.close()
    with pytest.raises(Closed):
        here.receive(1)


def test_waiting_looks_after_the_other_side(pair):
    looks = []

    def watch():
        looks.append(time.monotonic())
        if len(looks) == 3:
            raise RuntimeError("it is dead")

    there = Channel(pair[1], 100, watch=watch, watch_s=0.01)
    with pytest.raises(RuntimeError, match="dead"):
        there.receive(None)


def test_a_drip_is_watched_too(pair):
    stop, looks = threading.Event(), []

    def drip():
        for byte in frame(bytes(500)):
            if stop.wait(0.002):
                return
            pair[0].send(bytes((byte,)))

    there = Channel(pair[1], 1000, watch=lambda: looks.append(1), watch_s=0.02)
    dripping = threading.Thread(target=drip)
    dripping.start()
    with pytest.raises(Late):
        there.receive(0.2)
    stop.set()
    dripping.join()
    assert 2 <= len(looks) <= 11


def test_descriptors_that_are_sent_along_are_dropped(pair):
    before = (
        len(os.listdir("/proc/self/fd"))
        if os.path.exists("/proc/self/fd")
        else pytest.skip("no /proc here: descriptors cannot be counted")
    )
    with open(os.devnull) as file:
        socket.send_fds(pair[0], [frame(b"gift")], [file.fileno()] * 10)
    assert Channel(pair[1], 100).receive(1) == b"gift"
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_small_frame_there_and_back_takes_under_a_millisecond(pair):
    here, there = (Channel(sock, 100) for sock in pair)
    best = 1.0
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(10):
            here.send(b"question", 1)
            there.receive(1)
            there.send(b"answer", 1)
            here.receive(1)
        best = min(best, (time.perf_counter() - start) / 10)
    assert best < 1e-3
