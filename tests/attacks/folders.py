"""Attacks by the folder in which a notebook is handed in.

Each fills a student's folder of an assignment; `secret` is a file that the
student must not get hold of.
"""

import io
import os
import socket
import stat
import zipfile

import nbformat
from attacks import course

NAME = f"{course.NOTEBOOK}.ipynb"


def honest():
    """Return an honest notebook's bytes."""
    return nbformat.writes(course.honest()).encode()


def linked(folder, secret):
    (folder / NAME).symlink_to(secret)
    (folder / "other.ipynb").symlink_to(secret)


def linked_beside(folder, secret):
    (folder / NAME).write_bytes(honest())
    (folder / "helper.py").symlink_to(secret)
    (folder / "up").symlink_to("../../..")
    (folder / "all").symlink_to("/")
    (folder / "itself").symlink_to("itself")


def linked_folder(folder, secret):
    folder.rmdir()
    folder.symlink_to(secret.parent, target_is_directory=True)


def linked_student(folder, secret):
    folder.rmdir()
    folder.parent.rmdir()
    folder.parent.symlink_to(secret.parent, target_is_directory=True)


def piped(folder, secret):
    os.mkfifo(folder / NAME)
    os.mkfifo(folder / "helper.py")


def piped_beside(folder, secret):
    (folder / NAME).write_bytes(honest())
    os.mkfifo(folder / "helper.py")
    made = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(folder)
    made.bind("talk.py")
    os.chdir(here)
    made.close()


def folder_as_notebook(folder, secret):
    (folder / NAME).mkdir()
    (folder / NAME / NAME).write_bytes(honest())


def sparse(folder, secret):
    (folder / NAME).write_bytes(honest())
    with open(folder / "large.bin", "wb") as stream:
        stream.truncate(1 << 40)


def sparse_notebook(folder, secret):
    with open(folder / NAME, "wb") as stream:
        stream.truncate(1 << 40)


def many(folder, secret):
    (folder / NAME).write_bytes(honest())
    for number in range(6000):
        (folder / f"file-{number}.txt").write_bytes(b"x")


def deep(folder, secret):
    (folder / NAME).write_bytes(honest())
    inner = folder
    for _ in range(60):
        inner = inner / "deeper"
        inner.mkdir()
    (inner / "helper.py").write_bytes(b"x = 1")


def named(folder, secret):
    (folder / NAME).write_bytes(honest())
    for name in (
        b"new\nline.py",
        b"\x1b[2J.py",
        b"\xff\xfe.py",
        "\u202eyp.txt".encode(),
        b"<script>document.title='PWN'+'ED'<",
        b"=1+1.csv",
        b"-rf",
        b"back\\slash.py",
        b"..py",
        b"...",
        b"con.txt",
        b"n" * 255,
    ):
        with open(os.path.join(os.fsencode(folder), name), "wb") as stream:
            stream.write(b"x = 1")


def packed(entries):
    """Return a zip archive of names, contents and modes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return made.getvalue()


def archive_outwards(folder, secret):
    plain = stat.S_IFREG | 0o644
    (folder / "work.zip").write_bytes(
        packed(
            [
                (NAME, honest(), plain),
                ("../../../evil.py", "x", plain),
                ("/tmp/attack-zip", "x", plain),
                ("a/../../evil.py", "x", plain),
                ("c:\\evil.py", "x", plain),
                ("key.py", str(secret), stat.S_IFLNK | 0o777),
                (f"data/{NAME}/x", "x", plain),
            ]
        )
    )


def archive_bomb(folder, secret):
    plain = stat.S_IFREG | 0o644
    (folder / "work.zip").write_bytes(
        packed([(NAME, honest(), plain), ("zeros", b"\0" * (1 << 28), plain)])
    )


def archive_nested(folder, secret):
    plain = stat.S_IFREG | 0o644
    made = packed([("zeros", b"\0" * (1 << 24), plain)])
    for _ in range(10):
        made = packed([(f"{k}.zip", made, plain) for k in range(10)])
    (folder / "work.zip").write_bytes(made)


def archive_lies(folder, secret):
    plain = stat.S_IFREG | 0o644
    made = bytearray(packed([(NAME, honest(), plain)] * 1))
    at = made.rindex(b"PK\x01\x02")
    made[at + 24 : at + 28] = (10).to_bytes(4, "little")
    (folder / "work.zip").write_bytes(bytes(made))


def archive_twice(folder, secret):
    data = packed([(NAME, honest(), stat.S_IFREG | 0o644)])
    (folder / "work.zip").write_bytes(data + b"PK\x05\x06" + data)


def unreadable(folder, secret):
    (folder / NAME).write_bytes(honest())
    (folder / "helper.py").write_bytes(b"x")
    (folder / "helper.py").chmod(0)
    (folder / "inner").mkdir()
    (folder / "inner").chmod(0)


def hidden(folder, secret):
    (folder / NAME).write_bytes(honest())
    for name in (".ssh", ".ipython", "__pycache__", ".git"):
        (folder / name).mkdir()
        (folder / name / "config").write_bytes(b"x")
    (folder / ".bashrc").write_bytes(b"x")


ALL = {
    each.__name__: each
    for each in (
        linked,
        linked_beside,
        linked_folder,
        linked_student,
        piped,
        piped_beside,
        folder_as_notebook,
        sparse,
        sparse_notebook,
        many,
        deep,
        named,
        archive_outwards,
        archive_bomb,
        archive_nested,
        archive_lies,
        archive_twice,
        unreadable,
        hidden,
    )
}
