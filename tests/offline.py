"""Run a program in a network namespace of its own, and list what it looks up.

    python tests/offline.py FOLDER PROGRAM ARGUMENT ...

prints a line of JSON: the exit code, the names that the program looked up, the number
of connections that it began, and the files that it left in the home folder and in the
temporary folder. Both lie in FOLDER. It needs Linux, with namespaces for users.
"""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

UNSHARE = ["unshare", "--map-root-user", "--net", "--mount"]


def is_possible():
    """Tell whether this machine has such namespaces."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        return False
    test = "mount --bind /etc/hostname /etc/resolv.conf"
    return not subprocess.run(
        [*UNSHARE, "sh", "-c", test], capture_output=True
    ).returncode


def run(folder, *command):
    """Run a command, and return what is printed of it as a dict."""
    for name in ("home", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    inner = [*UNSHARE, sys.executable, __file__, folder, *command]
    ran = subprocess.run(inner, capture_output=True, text=True, cwd=folder)
    assert ran.stdout, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1]) | {"stderr": ran.stderr}


def name_server(queries):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    while True:
        query, client = server.recvfrom(4096)
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        queries.append(".".join(labels))
        # There is no such name.
        head = query[:2] + struct.pack(">5H", 0x8183, 1, 0, 0, 0)
        server.sendto(head + query[12 : at + 5], client)


def counters():
    """Return counters of the network by their names, such as Tcp.ActiveOpens."""
    lines = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines()]
    return {
        f"{names[0]}{name}": int(number)
        for names, numbers in zip(lines[::2], lines[1::2], strict=True)
        for name, number in zip(names[1:], numbers[1:], strict=True)
    }


def main(folder, *command):
    import fcntl

    folder = Path(folder)
    with socket.socket() as any_socket:  # Switch the loopback device on.
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x41))
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    subprocess.run(
        ["mount", "--bind", folder / "resolv.conf", "/etc/resolv.conf"], check=True
    )
    queries = []
    threading.Thread(target=name_server, args=[queries], daemon=True).start()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XDG")}
    unset = ("ORT_DISABLE_TELEMETRY", "MPLCONFIGDIR", "KERAS_HOME")
    for name in (*unset, "PYTHONDONTWRITEBYTECODE"):
        environment.pop(name, None)
    environment |= {"HOME": f"{folder}/home", "TMPDIR": f"{folder}/tmp"}
    code = subprocess.run(command, env=environment, stdout=sys.stderr).returncode
    counts = counters()
    files = [
        str(path.relative_to(folder))
        for name in ("home", "tmp")
        for path in sorted((folder / name).rglob("*"))
    ]
    connections = counts["Tcp:ActiveOpens"] + counts["Ip:OutNoRoutes"]
    answer = {"code": code, "queries": queries, "connections": connections}
    print(json.dumps(answer | {"files": files}))


if __name__ == "__main__":
    main(*sys.argv[1:])
