"""Starts the embedded endpoint as a process of its own, the way a user does."""

import os
import pathlib
import queue
import shutil
import subprocess
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[3]
ACCESS_ID, ACCESS_KEY = "local", "local-secret"
READY_WITHIN = 60  # seconds; a healthy start takes a small part of one


def binary():
    """The program under test: SLUICE_BIN, or bin/sluice of this repository."""
    path = pathlib.Path(os.environ.get("SLUICE_BIN") or ROOT / "bin" / "sluice")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: run `make bin/sluice`, or set SLUICE_BIN")
    return path.resolve()


class Endpoint:
    """One running endpoint. `url` ends in /api; `log()` is what it has said so far."""

    def __init__(self, *flags, data=None):
        self._own = data is None
        self.data = pathlib.Path(data or tempfile.mkdtemp(prefix="sluice-conformance-"))
        self._log_path = self.data.with_name(self.data.name + ".log")
        self.flags = flags
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self):
        command = [str(binary()), "emulator", "--listen", "127.0.0.1:0", "--data", str(self.data), "--verbose", *self.flags]
        with open(self._log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        lines = queue.Queue()
        threading.Thread(target=lambda: lines.put(self.process.stdout.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=READY_WITHIN)
        except queue.Empty:
            line = ""
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if not line.startswith("ready ") or "maxcompute" not in fields:
            raise RuntimeError(f"{' '.join(command)}: no ready line but {line!r}; its log:\n{self.log()}")
        self.url = fields["maxcompute"]

    def log(self):
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def stop(self):
        """Ends the process in the polite way and returns its exit status."""
        process = getattr(self, "process", None)
        if process is None:
            return 0
        process.terminate()
        try:
            return process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"the endpoint did not stop within 30 s; its log ends:\n{self.log()[-4000:]}") from None
        finally:
            process.stdout.close()

    def close(self):
        """Stops the process and removes what it left, if the folder is our own."""
        try:
            return self.stop()
        finally:
            if self._own:
                shutil.rmtree(self.data, ignore_errors=True)
                self._log_path.unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
