"""Ringferry as a process: its start from a configuration beside these scripts, its admin socket, its end."""
import json
import os
import pathlib
import socket
import ssl
import subprocess
import time

PERF = pathlib.Path(__file__).resolve().parent.parent
START_SECONDS = 10
END_SECONDS = 5
ADMIN_SECONDS = 10


def binary():
    # It is started in a folder of its own.
    return os.path.abspath(os.environ.get("RINGFERRY_BIN") or PERF.parent / "target/release/ringferry")


def render(template, folder, settings):
    """The configuration with its @…@ filled in, written to `folder`."""
    text = (PERF / template).read_text()
    for name, value in {**settings, "B_DIR": str(folder)}.items():
        text = text.replace(f"@{name}@", str(value))
    path = pathlib.Path(folder) / template
    path.write_text(text)
    return path


class Proxy:
    """A running proxy. All that it says goes to a file, so that it never waits for a reader."""

    def __init__(self, config, folder, arguments=()):
        if not pathlib.Path(binary()).exists():
            raise SystemExit(f"missing: {binary()} (cargo build --release, or name another in RINGFERRY_BIN)")
        self.folder = pathlib.Path(folder)
        self.admin = f"{folder}/admin.sock"
        self.log = self.folder / "proxy.out"
        command = [binary(), "run", "-c", str(config), "--admin", self.admin, *arguments]
        with open(self.log, "w") as output:
            self.process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.pid = self.process.pid
        self.listeners = self._listeners()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        # The second signal ends it at once: nobody is left whose exchange could end.
        self.process.terminate()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def runs(self):
        return self.process.poll() is None

    def address(self, scheme):
        """The first address of a scheme (`http`, `https`, `tcp`) that it accepts on."""
        return next(address for name, address in self.listeners if name == scheme)

    def status(self):
        return self._ask({"command": "status"})

    def reload(self):
        """Reads the configuration again; the number of the snapshot in force."""
        answer = self._ask({"command": "reload"})
        if answer["answer"] != "reloaded":
            raise RuntimeError(f"the reload failed: {answer}")
        return answer["generation"]

    def trust(self):
        """A TLS client that trusts its own authority and nobody else."""
        return ssl.create_default_context(cafile=str(self.folder / "state/authority.pem"))

    def last_words(self, lines=20):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _listeners(self):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                found = [listener["address"].split("://") for listener in self.status()["listeners"]]
                return [(scheme, (host, int(port))) for scheme, (host, port)
                        in ((scheme, rest.rsplit(":", 1)) for scheme, rest in found)]
            except OSError as error:
                if not self.runs() or time.monotonic() > deadline:
                    raise SystemExit(f"the proxy does not start: {self.last_words() or error}") from None
                time.sleep(0.02)

    def _ask(self, question):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ADMIN_SECONDS)
            connection.connect(self.admin)
            connection.sendall(json.dumps(question).encode() + b"\n")
            answer = b""
            while received := connection.recv(1 << 16):
                answer += received
        return json.loads(answer)
