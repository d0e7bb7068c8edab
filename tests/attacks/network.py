"""Attacks on the network and on local sockets."""

from attacks.attack import PRELUDE, Attack

NETWORK = (
    PRELUDE
    + """
import socket, urllib.request, ssl

def tcp(host, port):
    with socket.create_connection((host, port), 1) as made:
        made.sendall(b"hello from inside")
        return "sent"

def udp():
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    return made.sendto(b"hello from inside", ("127.0.0.1", @UDP@))

def local(address):
    made = socket.socket(socket.AF_UNIX)
    made.connect(address)
    return made.send(b"hello from inside")

def datagram():
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    return left.sendto(b"hello from inside", "@UNIX@-datagram")

def listening():
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen()
    return made.getsockname()

attempt("tcp", lambda: tcp("127.0.0.1", @PORT@))
attempt("tcp 6", lambda: tcp("::1", @PORT@))
attempt("udp", udp)
attempt("unix", lambda: local("@UNIX@"))
attempt("abstract", lambda: local("\\0@ABSTRACT@"))
attempt("pair to a datagram socket", datagram)
attempt("listen", listening)
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("packet", lambda: socket.socket(17, socket.SOCK_RAW))
attempt("netlink", lambda: socket.socket(16, socket.SOCK_RAW))
attempt("vsock", lambda: socket.socket(40, socket.SOCK_STREAM))
attempt("url", lambda: urllib.request.urlopen(
    "http://127.0.0.1:@PORT@/", timeout=1).read())
attempt("names", lambda: socket.gethostbyname("example.org"))
"""
)

SERVER = (
    PRELUDE
    + """
import glob, socket, stat

def servers():
    found = []
    for place in ("/tmp", "/run", os.getcwd(), os.path.dirname(os.getcwd())):
        for name in glob.glob(place + "/**", recursive=True)[:10000]:
            if stat.S_ISSOCK(os.lstat(name).st_mode):
                found.append(name)
    return found or 1 / 0

attempt("find sockets", servers)
for line in @SOCKETS@:
    def ask():
        made = socket.socket(socket.AF_UNIX)
        made.connect(line)
        made.sendall(b'{"folder": "@COURSE@", "visible": true}\\n')
        return made.recv(100)
    attempt("ask the server " + line, ask)
"""
)

ALL = (
    Attack(name="talks to the network", first=NETWORK, refused=True),
    Attack(name="asks the sandbox server itself", first=SERVER, refused=True),
)
