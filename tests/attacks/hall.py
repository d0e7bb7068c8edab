"""Where attacks take place: a class to steal from, and the real engine."""

import base64
import ctypes
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import nbformat
from attacks import course
from attacks.attack import Attack, filled, notebook

from attncourse.grading.handed_in import collecting, submission
from attncourse.grading.judging.judges import JudgeServer, grade_job
from attncourse.grading.model import Job, Limits
from attncourse.grading.notebooks.source import read_plan
from attncourse.grading.pages.cards import gather
from attncourse.grading.pages.feedback_html import as_html
from attncourse.grading.pages.feedback_text import as_markdown
from attncourse.grading.running import autograded
from attncourse.grading.sandbox.owner import Sandbox

LIMITS = Limits(
    cpu_s=0.7,
    wall_s=2.0,
    memory_bytes=1 << 27,
    output_bytes=1 << 16,
    reply_bytes=1 << 20,
    file_bytes=1 << 20,
    threads=16,
)
# What a careless sandbox would let an attack write to.
SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/root", "/etc")
MARKS = ("attack-", "shared-leak", "leak.txt")


class Hall:
    """A class folder with secrets, a victim, listeners and two servers."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="hall-"))
        self.folder.chmod(0o755)
        self.plan = read_plan(
            course.source(),
            assignment=course.ASSIGNMENT,
            notebook=course.NOTEBOOK,
            limits=LIMITS,
        )
        self.said = []
        self._become_reaper()
        self._lay_out()
        self._listen()
        self.victim = subprocess.Popen(["sleep", "3600"])
        self.sandbox = Sandbox(preload=("numpy",))
        self.judges = JudgeServer()
        self.places = {
            "OUTSIDE": str(self.outside),
            "COURSE": str(self.course),
            "VICTIM": str(self.victim.pid),
            "PORT": str(self.port),
            "UDP": str(self.udp),
            "UNIX": self.unix,
            "ABSTRACT": self.abstract,
            "SOCKETS": repr([self.sandbox.address]),
            "ROOT": str(Path(__file__).parents[2]),
        }

    def close(self):
        self.judges.close()
        self.sandbox.close()
        self.victim.kill()
        self.victim.wait()
        self._become_reaper(no_more=True)
        for each in self.listeners:
            each.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _become_reaper(self, no_more=False):
        # Whatever outlives its parent becomes a child of this process.
        ctypes.CDLL(None).prctl(36, int(not no_more), 0, 0, 0)

    def _lay_out(self):
        """Make what an attack must neither read nor change."""
        self.outside = self.folder / "outside"
        self.outside.mkdir()
        self.outside.chmod(0o777)
        self.course = self.folder / "course"
        texts = {
            "classroom/key": "CANARY-KEY-b81e52d7",
            "classroom/submitted/other/week/tiny.ipynb": "CANARY-OTHER-77ce",
            "solutions/week/tiny.ipynb": "CANARY-SOLUTION-4c0d",
        }
        for name, text in texts.items():
            file = self.course / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o666)
        grades = sqlite3.connect(self.course / "classroom/gradebook.db")
        with grades:
            grades.execute("create table grade (student text, points real)")
            grades.execute("insert into grade values ('CANARY-GRADE', 3)")
        grades.close()
        for each in (self.course, *self.course.rglob("*")):
            each.chmod(0o777 if each.is_dir() else 0o666)
        self.before = self.digest()

    def digest(self):
        """Return all that the class's folder holds, as one number."""
        made = hashlib.sha256()
        for each in sorted(self.course.rglob("*")):
            made.update(f"{each} {each.lstat().st_mode}".encode())
            if each.is_file():
                made.update(each.read_bytes())
        return made.hexdigest()

    def _listen(self):
        self.unix = str(self.folder / "listening")
        self.abstract = f"hall-{os.getpid()}"
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        unix, hidden = socket.socket(socket.AF_UNIX), None
        unix.bind(self.unix)
        os.chmod(self.unix, 0o777)
        hidden = socket.socket(socket.AF_UNIX)
        hidden.bind("\0" + self.abstract)
        packets = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        packets.bind(self.unix + "-datagram")
        os.chmod(self.unix + "-datagram", 0o777)
        for each in (tcp, unix, hidden):
            each.listen()
        self.port, self.udp = tcp.getsockname()[1], udp.getsockname()[1]
        self.listeners = (tcp, udp, unix, hidden, packets)
        for each in self.listeners:
            each.setblocking(False)

    def heard(self):
        """Return whether anything came to one of the listeners."""
        for each in self.listeners:
            try:
                if each.type == socket.SOCK_STREAM:
                    each.accept()[0].close()
                else:
                    each.recv(1000)
            except BlockingIOError:
                continue
            return True
        return False

    def handed_in(self, attack: Attack):
        """Write what the attacker hands in; return it as it is found."""
        home = Path(tempfile.mkdtemp(dir=self.folder))
        folder = home / "mallory" / course.ASSIGNMENT
        folder.mkdir(parents=True)
        made = notebook(attack, self.places)
        if not isinstance(made, bytes):
            made = nbformat.writes(made).encode("utf-8", "surrogatepass")
        (folder / f"{course.NOTEBOOK}.ipynb").write_bytes(made)
        for name, content in attack.files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                content = filled(content, self.places).encode()
            file.write_bytes(content)
        if attack.folder is not None:
            attack.folder(folder, self.places)
        try:
            (found,) = collecting.find(
                home, course.ASSIGNMENT, course.NOTEBOOK, plan=self.plan
            )
        finally:
            shutil.rmtree(home)
        return found

    def grade(self, attack: Attack):
        """Return the outcome, and every text that the student sees of it."""
        found = self.handed_in(attack)
        read = submission.read(found.data)
        job = Job(
            student=attack.student,
            plan=self.plan,
            script=submission.match(self.plan, read),
            seed=course.SEED,
            files={
                name: base64.b64encode(content).decode()
                for name, content in found.files.items()
            },
        )
        job = Job.from_json(json.loads(json.dumps(job.to_json())))
        outcome = grade_job(job, self.sandbox, self.judges)
        shown = json.dumps(outcome.to_json())
        content = json.loads(found.data)
        graded = gather(outcome, content, self.plan, script=job.script)
        sights = {
            "page": as_html(graded),
            "text": as_markdown(graded),
            "autograded": json.dumps(
                autograded.compose(self.plan, read, outcome)
            ),
            "outputs": json.dumps(outcome.outputs),
            "questions": json.dumps(
                [
                    replace(each, flags=()).to_json()
                    for each in outcome.questions
                ]
            ),
        }
        assert json.loads(shown)["student"] == attack.student
        return outcome, sights

    def beside(self, attack: Attack, times=2):
        """Grade honest work while an attack runs; return its outcomes."""
        done = []
        thread = threading.Thread(
            target=lambda: done.append(self.grade(attack))
        )
        thread.start()
        sandbox, judges = Sandbox(preload=("numpy",)), JudgeServer()
        try:
            ours = [self.honestly(sandbox, judges) for _ in range(times)]
        finally:
            thread.join(60)
            judges.close()
            sandbox.close()
        assert done, "the attack must come to an end"
        return ours

    def honestly(self, sandbox=None, judges=None):
        """Return what an honest student's work comes to, at this moment."""
        read = submission.read(nbformat.writes(course.honest()).encode())
        job = Job(
            student="honest",
            plan=self.plan,
            script=submission.match(self.plan, read),
            seed="5e" * 32,
        )
        outcome = grade_job(
            job, sandbox or self.sandbox, judges or self.judges
        )
        return [
            (each.grade_id, each.verdict, each.points)
            for each in outcome.questions
        ]

    def processes(self):
        """Return the living processes below this one, by number."""
        parents = {}
        for entry in os.scandir("/proc"):
            if entry.name.isdecimal():
                try:
                    text = Path(entry.path, "stat").read_text()
                except OSError:
                    continue
                state, parent = text.rpartition(")")[2].split()[:2]
                if state != "Z":
                    parents[int(entry.name)] = int(parent)
        below, found = {os.getpid()}, set()
        while below:
            below = {p for p, up in parents.items() if up in below}
            found |= below
        return found

    def left_behind(self, known, wait_s=3.0):
        """Return processes that are not of `known`, once they had time."""
        deadline = time.monotonic() + wait_s
        while extra := self.processes() - known:
            if time.monotonic() > deadline:
                return extra
            time.sleep(0.02)
        return set()

    def traces(self):
        """Return files that an attack made where it should not."""
        found = list(self.outside.iterdir())
        for place in SHARED:
            try:
                names = os.listdir(place)
            except OSError:
                continue
            found += [
                Path(place, name) for name in names if name.startswith(MARKS)
            ]
        return found
