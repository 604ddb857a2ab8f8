"""Thunderbird without a window, driven over Marionette: JSON behind its length, on a loopback port.

It runs in a network of its own that has nothing but `lo` (`alone`), so that no resolver and no host can be reached, whatever a
Thunderbird of tomorrow asks for; its settings switch off what it asks for today."""
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time

from common import free_port

HERE = os.path.dirname(os.path.abspath(__file__))


def alone():
    """Starts the script again in a network namespace that has only loopback. False: this system does not let us."""
    if os.environ.get("PILLARBOX_ALONE") != "1":
        flags = ["-n"] if os.geteuid() == 0 else ["-rn"]
        if not shutil.which("unshare") or subprocess.run(["unshare", *flags, "true"], capture_output=True).returncode:
            return False
        os.environ["PILLARBOX_ALONE"] = "1"
        os.execvp("unshare", ["unshare", *flags, sys.executable, *sys.argv])
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x41))  # SIOCSIFFLAGS: IFF_UP, IFF_RUNNING
    return True


PREFERENCES = {
    # Names lead to 127.0.0.1, without a resolver.
    "network.dns.disableIPv6": True,
    "network.trr.mode": 5,
    "network.proxy.type": 0,
    # What would call home.
    "app.update.enabled": False,
    "app.donation.eoy.version.viewed": 9999,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.region.network.url": "",
    "calendar.timezone.useSystemTimezone": True,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.blocklist.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.update.enabled": False,
    "mail.instrumentation.postUrl": "",
    "mailnews.auto_config_url": "",
    "mailnews.start_page.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "messenger.status.reportIdle": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "security.OCSP.enabled": 0,
    "services.settings.server": "data:,none",
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.server": "",
    # What would ask a person.
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mail.warn_on_send_accel_key": False,
    "mailnews.confirm.moveFoldersToTrash": False,
    "mailnews.emptyTrash.dontAskAgain": True,
    "mailnews.send_plaintext_flowed": False,
}


class Thunderbird:
    """A Thunderbird with a new profile in this folder, for which these names are this machine."""

    def __init__(self, folder, names, more):
        profile = os.path.join(folder, "profile")
        os.makedirs(profile)
        port = free_port()
        preferences = {**PREFERENCES, "marionette.port": port, "network.dns.localDomains": ",".join(names), **more}
        with open(os.path.join(profile, "user.js"), "w") as file:
            file.writelines(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items())
        with open(os.path.join(HERE, "thunderbird.js")) as file:
            self.code = file.read()
        self.log = open(os.path.join(folder, "thunderbird.log"), "wb")
        environment = {**os.environ, "HOME": folder, "TZ": "UTC", "MOZ_CRASHREPORTER_DISABLE": "1"}
        command = ["thunderbird", "--headless", "--profile", profile, "--no-remote", "--marionette", "--remote-allow-system-access"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=environment, start_new_session=True)
        self.number, self.buffer = 0, b""
        self.connect(port)
        self.read()
        self.version = self.call("WebDriver:NewSession", {})["capabilities"]["browserVersion"]
        self.call("Marionette:SetContext", {"value": "chrome"})
        self.call("WebDriver:SetTimeouts", {"script": 120_000})

    def connect(self, port):
        end = time.monotonic() + 120
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), 300)
                return
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.1)

    def read(self):
        while b":" not in self.buffer:
            self.more()
        length, _, self.buffer = self.buffer.partition(b":")
        while len(self.buffer) < int(length):
            self.more()
        text, self.buffer = self.buffer[: int(length)], self.buffer[int(length) :]
        return json.loads(text)

    def more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise RuntimeError("Thunderbird hung up")
        self.buffer += piece

    def call(self, name, parameters):
        """One command: [0, number, name, parameters]; its answer: [1, number, error, result]."""
        self.number += 1
        text = json.dumps([0, self.number, name, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(text), text))
        while True:
            direction, number, error, result = self.read()
            if (direction, number) == (1, self.number):
                if error:
                    raise RuntimeError(f"{name}: {error.get('message')}")
                return result

    def run(self, name, *arguments):
        """Calls a function of thunderbird.js; what it gives."""
        script = f"{self.code}\nrun({name}, arguments);"
        # Each in a sandbox of its own.
        parameters = {"script": script, "args": list(arguments), "newSandbox": True}
        result = self.call("WebDriver:ExecuteAsyncScript", parameters)["value"]
        if "error" in result:
            raise RuntimeError(f"{name}: {result['error']}")
        return result["value"]

    def quit(self):
        """As a person quits it: sessions end with LOGOUT."""
        try:
            self.call("Marionette:Quit", {"flags": ["eAttemptQuit"]})
            return self.process.wait(60)
        except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
            print(error)
            self.stop()
            return None

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
