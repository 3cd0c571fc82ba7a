# SPDX-License-Identifier: GPL-2.0-or-later
"""A stand-in for an entitlement server (Candlepin's API as virt-who uses it), strict about what it is asked, and
telling of faults on order. Its CA and all certificates are made by openssl at the start."""
import base64, http.server, json, os, re, socket, ssl, subprocess, threading, time, urllib.parse

CONSUMER = "6b1f0f3c-5a0e-4d0c-9a55-3f9e5d1e0a01"
OWNER = "acme"


def openssl(*words, **more):
    subprocess.run(["openssl", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


def make_ca(folder, name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
            "-subj", f"/CN={name}", "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def make_cert(folder, ca, name, subject, san=None, days=30):
    ext = f"{folder}/{name}.ext"
    with open(ext, "w") as out:
        out.write("basicConstraints=CA:FALSE\n" + (f"subjectAltName={san}\n" if san else ""))
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={subject}",
            "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.csr")
    openssl("x509", "-req", "-in", f"{folder}/{name}.csr", "-CA", f"{folder}/{ca}.pem", "-CAkey", f"{folder}/{ca}.key",
            "-CAcreateserial", "-days", str(days), "-extfile", ext, "-out", f"{folder}/{name}.pem")


def make_pki(folder):
    make_ca(folder, "ca")
    make_ca(folder, "otherca")
    here = "DNS:localhost,IP:127.0.0.1"
    certs = (("ca", "server", "localhost", here, 30), ("ca", "wronghost", "elsewhere.example", "DNS:elsewhere.example", 30),
             ("ca", "oldserver", "localhost", here, -1), ("otherca", "foreign", "localhost", here, 30), ("ca", "consumer", CONSUMER, None, 30),
             ("ca", "oldconsumer", CONSUMER, None, -1), ("otherca", "foreignconsumer", CONSUMER, None, 30))
    for ca, name, subject, san, days in certs:
        make_cert(folder, ca, name, subject, san, days)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm, wbufsize = True, -1
    timeout = 60

    def log_message(self, *words):
        pass

    def setup(self):
        try:
            self.request.settimeout(20)
            self.request.do_handshake()
            self.refused = False
        except (OSError, ssl.SSLError) as error:
            self.server.owner.handshake_errors.append(str(error))
            self.refused = True
        super().setup()

    def handle(self):
        if not self.refused:
            try:
                super().handle()
            except OSError:
                pass

    def finish(self):
        try:
            super().finish()
        except OSError:
            pass

    def reply(self, status, value=None, headers=(), raw=None):
        body = raw if raw is not None else b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers:
            self.send_header(name, text)
        self.send_header("x-candlepin-request-uuid", "00000000-0000-4000-8000-000000000000")
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def any(self):
        server = self.server.owner
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        cert = self.request.getpeercert() if isinstance(self.request, ssl.SSLSocket) else None
        name = dict(pair[0] for pair in cert["subject"]).get("commonName") if cert else None
        split = urllib.parse.urlsplit(self.path)
        record = {"method": self.command, "path": split.path, "query": dict(urllib.parse.parse_qsl(split.query, keep_blank_values=True)),
                  "headers": self.headers, "body": body, "cert": name, "connection": id(self.request), "time": time.monotonic(),
                  "user": None}
        authorization = self.headers.get("Authorization", "")
        if authorization.startswith("Basic "):
            record["user"] = base64.b64decode(authorization[6:]).decode()
        with server.lock:
            server.requests.append(record)
            server.changed.notify_all()
        if not split.path.startswith(server.prefix):
            server.wrong(record, "outside of the prefix")
            return self.reply(404, {"displayMessage": "not here"})
        record["path"] = split.path[len(server.prefix):]
        server.check_headers(record)
        fault = server.next_fault(record)
        if fault:
            return self.misbehave(fault, record)
        if record["path"] not in ("/status", "/status/", "/") and name is None and record["user"] != server.basic:
            return self.reply(401, {"displayMessage": "Invalid credentials."})
        status, value = server.answer(record)
        record["status"] = status
        self.reply(status, value)
        with server.lock:
            record["answered"] = True
            server.changed.notify_all()

    do_GET = do_PUT = do_POST = any

    def misbehave(self, fault, record):
        kind = fault["kind"]
        record["fault"] = kind
        if kind == "status":
            headers = [("Retry-After", str(fault["retry_after"]))] if "retry_after" in fault else []
            return self.reply(fault["code"], fault.get("value", {"displayMessage": fault.get("text", "on order"), "requestUuid": "x"}), headers)
        if kind == "redirect":
            return self.reply(302, {}, [("Location", fault["to"])])
        if kind == "garbage":
            return self.reply(200, raw=fault.get("raw", b"<html>\xff\x00{"))
        self.close_connection = True
        if kind == "drop":
            pass
        elif kind == "never":
            self.server.owner.released.wait(fault.get("seconds", 30))
        elif kind == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b'{"result": tr')
        elif kind == "huge":
            self.send_response(200)
            if fault.get("length", True):
                self.send_header("Content-Length", str(10 << 30))
            self.end_headers()
            block, sent = b"[" * 65536, 0
            try:
                while sent < 10 << 30 and not self.server.owner.released.is_set():
                    self.wfile.write(block)
                    sent += len(block)
            except OSError:
                pass
            record["sent"] = sent
        elif kind == "headers":
            self.send_response(200)
            try:
                for i in range(100000):
                    self.send_header(f"X-{i}", "y" * 1000)
                    self.flush_headers()
            except OSError:
                pass
        self.wfile.flush()
        try:
            self.request.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def get_request(self):
        connection, address = super().get_request()
        self.owner.connections += 1
        return self.owner.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request, address):
        pass


class Server:
    """One server. requests: all that it was asked; errors: what was not as it should be."""

    def __init__(self, folder, cert="server", prefix="/candlepin", port=0, tls=True):
        self.prefix, self.basic = prefix, "admin:s3cret pass"
        self.capabilities = ["cores", "hypervisors_async", "hypervisors_heartbeat"]
        self.guestids = True
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.released = threading.Event()
        self.requests, self.errors, self.handshake_errors, self.faults = [], [], [], []
        self.connections = 0
        self.jobs, self.job_states = {}, ["FINISHED"]
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(f"{folder}/{cert}.pem", f"{folder}/{cert}.key")
        self.context.load_verify_locations(f"{folder}/ca.pem")
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.listener = Listener(("127.0.0.1", port), Handler)
        self.listener.owner = self
        self.port = self.listener.server_address[1]
        self.thread = threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.released.set()
        self.listener.shutdown()
        self.listener.server_close()

    # ---- faults ----

    def order(self, kind, path=".*", times=1, method=None, **more):
        """The next `times` requests to a path get this instead of an answer."""
        with self.lock:
            self.faults.append(dict(more, kind=kind, path=path, times=times, method=method))

    def next_fault(self, record):
        with self.lock:
            for fault in self.faults:
                if fault["times"] > 0 and re.fullmatch(fault["path"], record["path"]) and fault["method"] in (None, record["method"]):
                    fault["times"] -= 1
                    return fault

    # ---- strictness ----

    def wrong(self, record, what):
        self.errors.append(f"{record['method']} {record['path']}: {what}")

    def check_headers(self, record):
        headers = record["headers"]
        for name, pattern in (("Host", r"(localhost|127\.0\.0\.1):\d+"), ("Accept", "application/json"), ("X-Correlation-ID", "[0-9a-f]{32}"),
                              ("User-Agent", r"RHSM/1\.0 \(cmd=\S+\) virt-who/\S+"), ("x-subscription-manager-version", ".+"),
                              ("Accept-Language", ".+"), ("Content-Type", "application/json|text/plain")):
            if not re.fullmatch(pattern, headers.get(name, "")):
                self.wrong(record, f"header {name}: {headers.get(name)}")
        if record["method"] != "GET" and headers.get("Content-Length") is None:
            self.wrong(record, "no Content-Length")
        if record["method"] == "GET" and record["body"]:
            self.wrong(record, "a body with GET")
        if record["cert"] and record["user"]:
            self.wrong(record, "a certificate and a password")
        for name in ("Transfer-Encoding", "Expect", "Cookie"):
            if headers.get(name):
                self.wrong(record, f"unexpected {name}")

    def check_guests(self, record, guests, plain=False):
        if plain:
            ids = guests
        else:
            for guest in guests:
                if set(guest) != {"guestId", "state", "attributes"} or not 0 <= guest["state"] <= 7 or \
                        set(guest["attributes"]) != {"virtWhoType", "active"} or \
                        guest["attributes"]["active"] != int(guest["state"] in (1, 3)):
                    self.wrong(record, f"guest {guest}")
            ids = [guest["guestId"] for guest in guests]
        if ids != sorted(ids) or len(ids) != len(set(ids)):
            self.wrong(record, "guests are not sorted or not unique")

    def check_mapping(self, record):
        if record["headers"].get("Content-Type") != "text/plain":
            self.wrong(record, "content type of a report")
        if set(record["query"]) != {"env", "cloaked", "reporter_id"} or record["query"]["cloaked"] != "False" or not record["query"]["reporter_id"]:
            self.wrong(record, f"query {record['query']}")
        mapping = json.loads(record["body"])
        if set(mapping) != {"hypervisors"}:
            self.wrong(record, f"members {set(mapping)}")
        seen = set()
        for host in mapping["hypervisors"]:
            if not set(host) <= {"hypervisorId", "name", "guestIds", "facts"} or set(host["hypervisorId"]) != {"hypervisorId"}:
                self.wrong(record, f"host {host}")
            if host.get("name") == "" or host.get("facts") == {}:
                self.wrong(record, "empty members")
            seen.add(host["hypervisorId"]["hypervisorId"].lower())
            self.check_guests(record, host["guestIds"])
        if len(seen) != len(mapping["hypervisors"]) or not seen:
            self.wrong(record, "hosts are not unique, or there is none")
        record["mapping"] = mapping
        return mapping

    # ---- answers ----

    def new_job(self, name, mapping):
        job = {"id": f"job{len(self.jobs) + 1:04d}", "key": "HypervisorUpdateJob", "name": name, "state": "CREATED", "previousState": None,
               "attempts": 1, "statusPath": "", "resultData": None, "origin": "test", "principal": "consumer"}
        job["statusPath"] = "/jobs/" + job["id"]
        self.jobs[job["id"]] = dict(job, left=list(self.job_states), mapping=mapping)
        return job

    def job(self, record, name):
        job = self.jobs.get(name)
        if job is None:
            return 404, {"displayMessage": f"Job not found: {name}", "requestUuid": "x"}
        if record["query"] != {"result_data": "True"}:
            self.wrong(record, f"query {record['query']}")
        if job["left"]:
            job["state"] = job["left"].pop(0)
        value = {key: job[key] for key in job if key not in ("left", "mapping")}
        if job["state"] == "FINISHED":
            value["resultData"] = {"created": [{"uuid": "u", "name": h.get("name"), "owner": {"key": OWNER}} for h in job["mapping"]["hypervisors"]],
                                   "updated": [], "unchanged": [], "failedUpdate": []}
        elif job["state"] in ("FAILED", "CANCELED"):
            value["resultData"] = "on order"
        return 200, value

    def answer(self, record):
        method, path, query = record["method"], record["path"], record["query"]
        if (method, path) in (("GET", "/status"), ("GET", "/status/")):
            return 200, {"result": True, "version": "4.4", "release": "1", "standalone": True, "mode": "NORMAL",
                         "timeUTC": "2026-01-01T00:00:00+0000", "managerCapabilities": self.capabilities}
        if (method, path) == ("GET", "/"):
            return 200, [{"rel": "owners", "href": "/owners"}] + ([{"rel": "guestids", "href": "/consumers/{consumer_uuid}/guestids"}] if self.guestids else [])
        if method == "GET" and path.startswith("/jobs/"):
            return self.job(record, path[6:])
        if method == "PUT" and path.startswith("/consumers/"):
            if path != "/consumers/" + CONSUMER or record["cert"] not in (CONSUMER, None):
                return 404, {"displayMessage": "Unit not found"}
            value = json.loads(record["body"])
            if not {"guestIds"} <= set(value) <= {"guestIds", "hypervisorId"}:
                self.wrong(record, f"members {set(value)}")
            self.check_guests(record, value["guestIds"], plain=not self.guestids)
            record["list"] = value
            return 204, None
        found = re.fullmatch(r"/hypervisors/([^/]+)(/heartbeat)?", path)
        if found and urllib.parse.unquote(found[1]) != OWNER:
            return 404, {"displayMessage": f"owner with key: {urllib.parse.unquote(found[1])} was not found.", "requestUuid": "x"}
        if method == "PUT" and found and found[2]:
            if record["body"] or set(query) != {"reporter_id"}:
                self.wrong(record, f"heartbeat {query}")
            return 200, self.new_job("Hypervisor Heartbeat Update", {"hypervisors": []})
        if method == "POST" and found:
            if "hypervisors_async" not in self.capabilities:
                return 404, {"displayMessage": "not here"}
            return 200, self.new_job("Hypervisor Update", self.check_mapping(record))
        if method == "POST" and path == "/hypervisors":
            if set(query) != {"owner", "env"} or record["headers"].get("Content-Type") != "application/json":
                self.wrong(record, f"old report {query}")
            mapping = json.loads(record["body"])
            for guests in mapping.values():
                self.check_guests(record, guests)
            record["map"] = mapping
            return 200, {"created": [{"uuid": name} for name in mapping], "updated": [], "failedUpdate": []}
        self.wrong(record, "unknown request")
        return 404, {"displayMessage": "Not Found"}

    # ---- for tests ----

    def find(self, method, pattern):
        with self.lock:
            return [r for r in self.requests if r["method"] == method and re.fullmatch(pattern, r["path"])]

    def reports(self):
        return [r["mapping"] for r in self.find("POST", "/hypervisors/.*") if "mapping" in r]

    def wait(self, condition, seconds=30):
        """Until condition() holds; its last value."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                value = condition()
                left = deadline - time.monotonic()
                if value or left <= 0:
                    return value
                self.changed.wait(min(left, 0.2))
