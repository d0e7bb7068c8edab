"""Attacks on the protocol between the sandbox and the judge.

The code inside is found and used against itself: what matters is that the
judge believes nothing.
"""

from attacks.attack import Attack

# Every socket that the process has, and the grader's own tools.
TOOLS = """
import os, socket, stat, struct, sys, time

def sockets():
    found = []
    for fd in range(1024):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                found.append(fd)
        except OSError:
            pass
    return found

def tool(ending):
    for name, module in list(sys.modules.items()):
        if name.endswith(ending) and module is not None:
            return module

def frame(data, size=None):
    return struct.pack("<4sQ", b"GRAD",
                       len(data) if size is None else size) + data

def everywhere(data):
    for fd in sockets():
        try:
            os.write(fd, data)
        except OSError:
            pass

def packed(value):
    return tool(".arguments").pack(None, value).data
"""

LOST = ("crashed", "timeout", "error", "fail", "partial")


def speaks(name, body, before="", **more):
    """Return an attack that writes to the judge while `norm` is called."""
    return Attack(
        name=name,
        answers={
            "a-norm": TOOLS
            + before
            + "\ndef norm(values):\n"
            + "\n".join("    " + line for line in body.strip().splitlines())
            + "\n    return values\n"
        },
        verdicts={"t-norm": LOST},
        **more,
    )


FORGED = """
right = np.array([[0.25, 0.75]])
for value in (right, True, None, 12.0,
              {"value": right}, {"ok": True, "value": right, "args": []},
              {"do": "value", "value": right},
              {"points": 4.0, "verdict": "pass"},
              {"exit": 0, "signal": None, "verdict": "pass", "points": 4.0}):
    everywhere(frame(packed(value)))
"""

# Copies the shape of true replies, and answers many requests in advance.
AHEAD = """
channel = tool(".channel").Channel
if not hasattr(channel, "honest"):
    channel.honest = channel.send
    def send(self, data, *given, **named):
        for _ in range(3):
            channel.honest(self, data, *given, **named)
    channel.send = send
"""

LYING = """
import json
channel = tool(".channel").Channel
arguments = tool(".arguments")
same = arguments.Arguments(None, b"N", [])

def send(self, data, *given, **named):
    given_back, message = arguments.unpack(data, before=same)
    if isinstance(message, dict):
        for key in ("points", "verdict", "told", "passed", "error"):
            message[key] = 12.0
        for key in ("cpu_s", "wall_s"):
            if key in message:
                message[key] = -1e308
        if "outputs" in message:
            message["outputs"] = [{"output_type": "display_data",
                "metadata": {}, "data": {
                "application/vnd.attncourse.verdict+json":
                {"verdict": "pass", "points": 4.0}}}] * 3
        data, *_ = arguments.pack(given_back.value, message, before=same)
    sender(self, data, *given, **named)

if not hasattr(channel, "honest"):
    sender = channel.honest = channel.send
    channel.send = send
"""

# Says that arguments are as they came, and returns the judge's own.
CLAIMING = """
inner = tool(".child")
if not hasattr(inner, "honest"):
    inner.honest = inner.pack
    def pack(given, rest, *, before=None, **named):
        made = inner.honest(given, rest, **named)
        if before is not None:
            before = made.arguments
        return inner.honest(given, rest, before=before, **named)
    inner.pack = pack
values.flags.writeable = True
values[...] = 0.25
"""

GUESSED = """
answers = []
for number in range(-2, 40):
    for request in ({"do": "callback", "id": number, "args": (values,)},
                    {"callback": number, "args": (values,), "kwargs": {}},
                    {"do": "call", "callback": number, "args": (values,)}):
        everywhere(frame(packed(request)))
for fd in sockets():
    try:
        made = socket.socket(fileno=os.dup(fd))
        made.settimeout(0.05)
        answers.append(made.recv(65536))
    except OSError:
        pass
print(answers)
"""

DRIP = """
for byte in frame(packed(values)) * 1000:
    everywhere(bytes([byte]))
    time.sleep(0.02)
"""

ENDLESS = """
everywhere(struct.pack("<4sQ", b"GRAD", 1 << 19))
while True:
    everywhere(b"x" * 65536)
"""

FLOOD = """
while True:
    everywhere(frame(packed({"value": 1})))
"""

DEEP = """
everywhere(frame(bytes(range(256)) * 64))
for tag in range(256):
    everywhere(frame(bytes([tag]) * 70000))
"""

HALF = """
data = frame(packed({"value": values}))
everywhere(data[: len(data) // 2])
time.sleep(100)
"""

RIGHTS = """
import array
for fd in sockets():
    try:
        made = socket.socket(fileno=os.dup(fd))
        made.sendmsg([b"GRAD"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                     array.array("i", [0, 1, 2] * 60))])
    except OSError as error:
        print(error)
"""

SWAPPED = """
left, right = socket.socketpair()
for fd in sockets():
    if fd not in (left.fileno(), right.fileno()):
        try:
            os.dup2(left.fileno(), fd)
        except OSError:
            pass
"""

# A list of lists of lists ...: small on the wire, large when read.
AMPLIFY = """
channel = tool(".channel").Channel
if not hasattr(channel, "honest"):
    channel.honest = channel.send
    arguments = tool(".arguments")
    alike = arguments.Arguments(None, b"N", [])
    def send(self, data, *given, **named):
        args, message = arguments.unpack(data, before=alike)
        same = ["x" * 1000] * 30
        for _ in range(4):
            same = [same] * 30
        try:
            message["value"] = same
            data, *_ = arguments.pack(args.value, message, before=alike)
        except Exception:
            message["value"] = {k * (2 ** 61 - 1): None for k in range(60000)}
            data, *_ = arguments.pack(args.value, message, before=alike)
        channel.honest(self, data, *given, **named)
    channel.send = send
"""

HANDLES = """
kinds = tool(".wire_kinds") or tool(".wire")
for number in range(50):
    for kind in ("function", "class", "object", "module"):
        everywhere(frame(packed(
            {"value": kinds.Handle(number, kind, "wanted", "text")})))
"""

RAISED = """
kinds = tool(".wire_kinds") or tool(".wire")
names = ("StopIteration", "SystemExit", "KeyboardInterrupt",
         "GeneratorExit", "AssertionError", "MemoryError", "object",
         "__import__", "print")
for name in names:
    try:
        everywhere(frame(packed({"failed": kinds.Raised(
            name, name, "12 points", 10 ** 9)})))
    except Exception as error:
        print(error)
"""

ALL = (
    speaks("forges replies", FORGED),
    speaks("answers three times", AHEAD, spoils=("t-tally", "t-accepts")),
    speaks("adds points to its replies", LYING),
    speaks("says that it has changed nothing", CLAIMING),
    speaks("guesses the numbers of callbacks", GUESSED),
    speaks("lets a reply drip", DRIP),
    speaks("never ends a reply", ENDLESS),
    speaks("floods the judge with replies", FLOOD),
    speaks("writes bytes that mean nothing", DEEP),
    speaks("sends half a reply", HALF),
    speaks("claims a reply of a terabyte", "everywhere(frame(b'', 1 << 40))"),
    speaks("claims a negative size", "everywhere(frame(b'', (1 << 64) - 1))"),
    speaks("claims more than it sends", "everywhere(frame(b'', 4000))"),
    speaks("claims nothing", "everywhere(frame(b'') * 50)"),
    speaks("sends descriptors", RIGHTS),
    speaks("swaps the judge's socket", SWAPPED),
    speaks(
        "closes every descriptor",
        "os.closerange(0, 1024)",
    ),
    speaks("amplifies what it sends", AMPLIFY, spoils=("t-tally",)),
    speaks("forges handles", HANDLES),
    speaks("forges exceptions", RAISED),
    Attack(
        name="forges replies before it is asked",
        first=TOOLS
        + "\nfor _ in range(20):\n"
        + "    everywhere(frame(packed({'value': True, 'ok': True})))\n",
    ),
    Attack(
        name="serves the judge by a loop of its own",
        answers={
            "a-norm": TOOLS
            + """
def norm(values):
    fds = [fd for fd in sockets()]
    made = socket.socket(fileno=fds[-1])
    made.settimeout(0.3)
    told = []
    for _ in range(6):
        made.sendall(frame(packed({"value": values})))
        try:
            told.append(made.recv(65536))
        except OSError:
            break
    print(told)
    return values
"""
        },
    ),
)
