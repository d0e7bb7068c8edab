"""Attacks on files and on what is installed."""

from attacks.attack import PRELUDE, Attack

READ = (
    PRELUDE
    + """
course = "@COURSE@"
for name in ("classroom/gradebook.db", "classroom/key",
             "classroom/submitted/other/week/tiny.ipynb",
             "solutions/week/tiny.ipynb"):
    path = os.path.join(course, name)
    attempt("read " + name, lambda: open(path, "rb").read())
    attempt("update " + name, lambda: open(path, "r+b").write(b"x"))
    attempt("truncate " + name, lambda: os.truncate(path, 0))
    attempt("remove " + name, lambda: os.remove(path))
    attempt("rename " + name, lambda: os.rename(path, path + ".gone"))
    try:
        # The sandbox may pretend; the harness looks at what came of it.
        os.chmod(path, 0o777)
        os.utime(path, (1, 1))
    except OSError:
        pass
    attempt("link " + name, lambda: os.link(path, "linked"))
    attempt("sqlite " + name, lambda: __import__("sqlite3").connect(
        path).execute("select * from grade").fetchall())
for name in ("", "classroom", "classroom/submitted", "solutions"):
    attempt("list " + name, lambda: os.listdir(os.path.join(course, name)))
for name in ("/etc/passwd", "/etc/shadow", "/root", "/home", "/",
             "/var/log", "/dev/mem", "/dev/kmsg", "/dev/tty", "/dev/sda"):
    attempt("open " + name,
            lambda: os.path.isdir(name) and os.listdir(name)
            or os.open(name, os.O_RDONLY))
"""
)

LINKS = (
    PRELUDE
    + """
key = "@COURSE@/classroom/key"

def through(link):
    with open(link, "rb") as stream:
        return stream.read()

def symbolic():
    os.symlink(key, "key-link")
    return through("key-link")

def folder():
    os.symlink("@COURSE@", "course-link")
    return os.listdir("course-link")

def upwards():
    return os.listdir(os.path.join(os.getcwd(), "..", "..", ".."))

def handle():
    return os.listdir(os.open("..", os.O_RDONLY))

attempt("symlink", symbolic)
attempt("folder link", folder)
attempt("hard link", lambda: os.link(key, "hard") or through("hard"))
attempt("upwards", upwards)
attempt("descriptor of ..", handle)
attempt("root link", lambda: through("/proc/self/root" + key))
attempt("cwd of others", lambda: os.listdir("/proc/1/cwd"))
attempt("device", lambda: os.mknod("device", 0o020666, os.makedev(1, 1)))
attempt("rename out", lambda: (open("x", "w").close(),
                               os.rename("x", "@OUTSIDE@/x")))
"""
)

WRITE = (
    PRELUDE
    + """
import pathlib, tempfile, site, getpass
places = ["@OUTSIDE@", "@COURSE@", "@COURSE@/classroom", "/tmp", "/dev/shm",
          "/var/tmp", "/root", os.path.dirname(np.__file__),
          os.path.dirname(os.__file__), sys.prefix, "/run", "/etc"]
for place in places:
    path = os.path.join(place, "attack-written")
    attempt("write " + place, lambda: open(path, "w").write("here"))
    attempt("mkdir " + place, lambda: os.mkdir(path + "-folder"))
    attempt("link " + place, lambda: os.symlink("/", path + "-link"))
    attempt("fifo " + place, lambda: os.mkfifo(path + "-fifo"))
attempt("patch numpy", lambda: open(np.__file__, "a").write("#"))
attempt("dynamic", lambda: __import__("ctypes").CDLL("./mine.so"))
"""
)

PROC = (
    PRELUDE
    + """
for pid in ("1", str(os.getppid()), "@VICTIM@", "self/task/1"):
    for name in ("environ", "mem", "maps", "fd", "cwd", "root", "cmdline"):
        path = f"/proc/{pid}/{name}"
        attempt(path, lambda: os.listdir(path) if name in ("fd", "cwd", "root")
                else open(path, "rb").read(100))
attempt("own memory", lambda: open("/proc/self/mem", "r+b").read(1))
attempt("sysrq", lambda: open("/proc/sysrq-trigger", "w").write("b"))
attempt("core", lambda: open("/proc/sys/kernel/core_pattern").read())
attempt("oom", lambda: open("/proc/self/oom_score_adj", "w").write("-1000"))
"""
)

COURSEWARE = """
import sys, importlib, importlib.metadata, importlib.util, pathlib
for name in ("attncourse.reference.softmax", "attncourse.questions",
             "attncourse.grading.model", "attncourse.checking.judge",
             "attncourse.notebooks"):
    try:
        module = importlib.import_module(name)
        print("IMPORTED", name, getattr(module, "__file__", None))
        print(sorted(vars(module))[:20])
    except BaseException as error:
        print("REFUSED", name, type(error).__name__)
for place in [*sys.path, "@ROOT@", "@ROOT@/attncourse"]:
    for name in ("attncourse/grading/model.py", "grading/model.py",
                 "attncourse/reference/softmax.py", "README.md",
                 "solutions/02_softmax/softmax.py"):
        try:
            text = (pathlib.Path(place or ".") / name).read_text()
            print("FOUND", name, text[:200])
        except BaseException as error:
            pass
"""

CHECKED = """
from attncourse import check
import attncourse
from attncourse.questions.softmax import tempered

print("check says", check("softmax.tempered", lambda *given: None))
answer = attncourse.reference.softmax.softmax

def norm(values):
    return answer(values)
"""

DISK = """
kept = 0
try:
    for number in range(2000):
        with open(f"file-{number}", "wb") as stream:
            kept += stream.write(b"x" * 1_000_000)
except OSError as error:
    print("stopped", error)
print("kept", kept)
"""

NODES = """
import os
try:
    for number in range(200000):
        os.close(os.open(f"n{number}", os.O_CREAT | os.O_WRONLY))
except OSError as error:
    print("stopped", number, error)
"""

NESTED = """
import os
try:
    for number in range(3000):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
except OSError as error:
    print("stopped", number, error)
"""

STUCK = """
import os
os.makedirs("locked/inner", exist_ok=True)
open("locked/inner/file", "w").write("x")
os.chmod("locked/inner", 0)
os.chmod("locked", 0)
try:
    os.mkfifo("pipe")
except OSError as error:
    print(error)
os.chmod(".", 0)
"""

# A helper beside the notebook, which the judge must never import.
SHADOW = """
import os
try:
    open("@OUTSIDE@/shadow", "w").write("imported")
except OSError:
    pass
allclose = array_equal = lambda *given, **named: True
ndarray = object
"""
SHADOWS = {
    f"{name}.py": SHADOW
    for name in (
        "numpy",
        "attncourse",
        "sitecustomize",
        "usercustomize",
        "json",
        "socket",
        "struct",
        "wire",
        "conftest",
        "ipython_config",
        "jupyter_config",
        "nbgrader_config",
    )
} | {
    "matplotlibrc": "backend: module://numpy",
    ".ipython/profile_default/startup/00.py": SHADOW,
    "profile_default/startup/00.py": SHADOW,
    "attack.pth": "import os; open('@OUTSIDE@/pth', 'w').write('x')",
    "pyvenv.cfg": "home = @OUTSIDE@",
}

ALL = (
    Attack(
        name="reads and writes the class's files", first=READ, refused=True
    ),
    Attack(name="follows links out of its folder", first=LINKS, refused=True),
    Attack(name="writes where it should not", first=WRITE, refused=True),
    Attack(name="looks into other processes", first=PROC, refused=True),
    Attack(
        name="imports the course's own package",
        first=COURSEWARE,
        banned=("FOUND", ".py"),
    ),
    Attack(name="asks the course for the answer", answers={"a-norm": CHECKED}),
    Attack(name="fills the disk with large files", last=DISK),
    Attack(name="fills the disk with names", last=NODES),
    Attack(name="nests folders", last=NESTED),
    Attack(name="locks its own folder", first=STUCK),
    Attack(
        name="hands in files that are too large",
        files={f"large-{k}.bin": b"x" * 3_000_000 for k in range(4)},
    ),
    Attack(
        name="hands in many files",
        files={f"many/file-{k}.txt": b"x" for k in range(450)},
    ),
    Attack(
        name="shadows modules with helpers",
        files=SHADOWS,
        first="import sys\nsys.path.insert(0, '')\nimport numpy, json",
    ),
)
