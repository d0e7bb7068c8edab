"""Attacks by system calls that no notebook needs."""

from attacks.attack import PRELUDE, Attack

DEBUG = (
    PRELUDE
    + """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)

def call(*given):
    if os.uname().machine != "x86_64":
        raise OSError("other machines have other numbers")
    done = libc.syscall(*map(ctypes.c_long, given))
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done

space = ctypes.addressof(ctypes.create_string_buffer(4096))
path = ctypes.addressof(ctypes.create_string_buffer(b"/proc"))
for name, numbers in {
    "ptrace attach": (101, 16, @VICTIM@, 0, 0),
    "ptrace traceme": (101, 0, 0, 0, 0),
    "process_vm_readv": (310, @VICTIM@, space, 1, space, 1, 0),
    "process_vm_writev": (311, @VICTIM@, space, 1, space, 1, 0),
    "kcmp": (312, @VICTIM@, @VICTIM@, 0, 0, 0),
    "pidfd_open": (434, @VICTIM@, 0),
    "pidfd_getfd": (438, 3, 0, 0),
    "io_uring_setup": (425, 8, space),
    "bpf": (321, 0, space, 64),
    "perf_event_open": (298, space, 0, -1, -1, 0),
    "userfaultfd": (323, 0),
    "keyctl": (250, 0, -3, 0),
    "add_key": (248, space, space, space, 1, -3),
    "unshare user": (272, 0x10000000),
    "setns": (308, 0, 0),
    "mount": (165, path, path, path, 0, 0),
    "umount": (166, path, 0),
    "chroot": (161, path),
    "pivot_root": (155, path, path),
    "init_module": (175, space, 10, space),
    "kexec_load": (246, 0, 0, 0, 0),
    "reboot": (169, 0, 0, 0, 0),
    "quotactl": (179, 0, 0, 0, 0),
    "open_by_handle_at": (304, -100, space, 0),
    "clone3": (435, space, 88),
    "vfork": (58,),
    "execveat": (322, -100, path, 0, 0, 0),
    "swapon": (167, path, 0),
    "settimeofday": (164, space, 0),
    "iopl": (172, 3),
    "fork by x32": (0x40000000 | 57,),
    "execve": (59, path, 0, 0),
    "shared memory": (29, 4711, 4096, 0o1666),
    "semaphores": (64, 4711, 1, 0o1666),
    "messages": (68, 4711, 0o1666),
    "message queue": (240, path, 0o102, 0o666, 0),
    "fanotify": (300, 0, 0),
    "syslog": (103, 10, 0, 0),
    "acct": (163, path),
    "finit_module": (313, 0, space, 0),
    "kexec_file_load": (320, 0, 0, 0, 0, 0),
    "sigqueue": (129, @VICTIM@, 9, space),
    "tkill": (200, @VICTIM@, 9),
    "tgkill": (234, @VICTIM@, @VICTIM@, 9),
    "process_madvise": (440, 3, space, 1, 4, 0),
    "move_pages": (279, @VICTIM@, 1, space, 0, 0, 0),
    "sched_setaffinity": (203, @VICTIM@, 8, space),
    "setpriority": (141, 0, @VICTIM@, 19),
    "prlimit": (302, @VICTIM@, 7, 0, space),
}.items():
    attempt(name, lambda: call(*numbers))
"""
)

# getpid through int 0x80 is number 20; fork is number 2.
OLD = (
    PRELUDE
    + r"""
import ctypes, mmap

def machine(code):
    if os.uname().machine != "x86_64":
        raise OSError("other machines have other codes")
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(code)
    start = ctypes.addressof(ctypes.c_char.from_buffer(page))
    got = ctypes.CFUNCTYPE(ctypes.c_int)(start)()
    if got < 0:
        raise OSError(-got, os.strerror(-got))
    if got == 0:
        while True:
            open("@OUTSIDE@/old-fork", "a").write("alive")
    return got

attempt("fork by int 0x80",
        lambda: machine(b"\xb8\x02\x00\x00\x00\xcd\x80\xc3"))
"""
)

ALL = (
    Attack(name="makes forbidden system calls", first=DEBUG, refused=True),
    Attack(name="forks by the old system call gate", last=OLD),
)
