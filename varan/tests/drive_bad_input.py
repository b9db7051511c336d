"""What nobody should send to the REST API: broken requests and documents, slow, half-open and too many connections. Each gets
one clear answer or none, and others are served all the while.

Arguments: URL of the console's API, URL of the management partition's, the varan binary, the data directory.
"""
import http.client
import json
import select
import socket
import ssl
import subprocess
import sys
import threading
import xml.etree.ElementTree as tree
from urllib.parse import urlsplit

console, management, varan, data = sys.argv[1:5]
UOM = "{http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/}"
WEB = "{http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/}"
url = urlsplit(console)
plain = urlsplit(management)
context = ssl._create_unverified_context()
LOGON = "<LogonRequest><UserID>hscroot</UserID><Password>abc123</Password></LogonRequest>"


def connect(secure=True):
    """A connection; nothing here may take longer than this."""
    if not secure:
        return socket.create_connection((plain.hostname, plain.port), timeout=60)
    return context.wrap_socket(socket.create_connection((url.hostname, url.port), timeout=60))


def answers(stream, count=1):
    """That many answers of one connection: status, headers, body; fewer when it ends."""
    found = []
    for _ in range(count):
        answer = http.client.HTTPResponse(stream)
        try:
            answer.begin()
        except (http.client.HTTPException, ConnectionError):
            break
        found.append((answer.status, answer.headers, answer.read()))
    return found


def send(data, count=1, secure=True):
    stream = connect(secure)
    try:
        stream.sendall(data)
    except OSError:
        # The server may answer and close before it has read everything.
        pass
    try:
        return answers(stream, count)
    except OSError:
        return []
    finally:
        stream.close()


def request(method, path, token=None, body=b"", **headers):
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    lines += [f"X-API-Session: {token}"] if token else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body


def document(answer, status, part=""):
    """An error document that says the status and nothing secret."""
    got, headers, body = answer
    text = body.decode()
    assert got == status, (got, status, text)
    assert headers["Content-Type"] == "application/atom+xml", headers
    root = tree.fromstring(text)
    assert root.find(f".//{WEB}HTTPStatus").text == str(status), text
    message = root.find(f".//{WEB}Message").text
    assert part in message, (part, message)
    assert "abc123" not in text, text
    return message


(answer,) = send(request("PUT", "/rest/api/web/Logon", body=LOGON.encode()))
token = tree.fromstring(answer[2].decode())[1].text


def alive():
    (answer,) = send(request("GET", "/rest/api/uom/ManagedSystem/quick/All", token))
    assert answer[0] == 200 and json.loads(answer[2]), answer


alive()

# Documents that are none, of any content type.
bomb = '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{("&" + chr(97 + n) + ";") * 10}">' for n in range(9)) + "]>"
for body in ("", " ", "<", "<LogonRequest", "<LogonRequest>", "<a/>", "{}", "\u0000", "<a>" * 100, "<a>" * 4000,
             bomb + "<LogonRequest><UserID>&j;</UserID></LogonRequest>",
             '<!DOCTYPE l SYSTEM "file:///etc/passwd"><LogonRequest><UserID>a</UserID></LogonRequest>',
             "<LogonRequest><UserID></UserID><Password>abc123</Password></LogonRequest>",
             "<LogonRequest><UserID>hscroot</UserID><Password>abc123</Password>",
             "<?xml version='1.0' encoding='UTF-16'?><LogonRequest/>", "<LogonRequest xmlns:a='b'><c:UserID/></LogonRequest>"):
    (answer,) = send(request("PUT", "/rest/api/web/Logon", body=body.encode()))
    document(answer, 400, "REST0001")
(answer,) = send(request("PUT", "/rest/api/web/Logon", body=b"\xff\xfe<\x00a\x00"))
document(answer, 400, "UTF-8")
for kind in ("text/plain", "application/json", "image/png; charset=\u00e9", ""):
    (answer,) = send(request("PUT", "/rest/api/web/Logon", body=LOGON.encode(), Content_Type=kind))
    assert answer[0] == 200, (kind, answer)
for name in ("hscroot ", "HSCROOT", "../hscroot", "hscroot\u0000", "\u4e2d\u6587", "a" * 9000, "' OR 1=1 --"):
    body = f"<LogonRequest><UserID>{name}</UserID><Password>wrong</Password></LogonRequest>".encode()
    (answer,) = send(request("PUT", "/rest/api/web/Logon", body=body))
    document(answer, 400 if "\u0000" in name else 401)

# Bodies that are too large: a little too much is answered, much more is not waited for.
(answer,) = send(request("PUT", "/rest/api/web/Logon", body=b"x" * (20 << 10)))
document(answer, 413, "larger")
(answer,) = send(request("POST", "/rest/api/uom/ManagedSystem", token, body=b"x" * ((8 << 20) + 100)))
document(answer, 413, "larger")
stream = connect()
stream.sendall(b"PUT /rest/api/web/Logon HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
sent = 0
try:
    while sent < 64 << 20:
        stream.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        sent += 0x10000
except OSError:
    pass
stream.close()
assert sent < 32 << 20, "an endless body is read on and on"
alive()

# Heads that are none.
for head in (b"\x00\x01\x02\x03\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
             b"GET /rest/api/uom/\xe4\xb8\xad HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
             b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5_000 + b"\r\n",
             b"GET / HTTP/1.1\r\nA: " + b"b" * 200_000 + b"\r\n\r\n"):
    found = send(head)
    assert all(400 <= status < 500 for status, _, _ in found), (head[:40], found)
alive()

# Sessions: unknown, malformed, doubled, ended.
for wrong in ("", "x", token[:-1], token + "x", "\u00e9", "a" * 10_000):
    (answer,) = send(request("GET", "/rest/api/uom/ManagedSystem", wrong or None, Cookie="JSESSIONID=; x"))
    document(answer, 401, "session")
(answer,) = send(request("PUT", "/rest/api/web/Logon", body=LOGON.encode()))
other = tree.fromstring(answer[2].decode())[1].text
found = send(request("DELETE", "/rest/api/web/Logon", other) + request("GET", "/rest/api/uom/ManagedSystem", other), 2)
assert found[0][0] == 204, found
document(found[1], 401, "session")

# Methods. What this level does not do changes nothing and says so.
systems = json.loads(send(request("GET", "/rest/api/uom/ManagedSystem/quick/All", token))[0][2])
one = "/rest/api/uom/ManagedSystem/" + systems[0]["UUID"]
for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
    for path in (one, "/rest/api/uom/LogicalPartition", "/rest/api/uom/Event", "/rest/api/web/schema/ManagedSystem.xsd"):
        (answer,) = send(request(method, path, token, body=b"<a/>"))
        document(answer, 405, method)
(answer,) = send(request("OPTIONS", one))
document(answer, 401)
stream = connect()
stream.sendall(request("HEAD", one, token))
answer = http.client.HTTPResponse(stream, method="HEAD")
answer.begin()
assert answer.status == 200 and answer.headers["ETag"] and answer.read() == b""
stream.close()

# Accepts.
for accept, status in (("image/png", 406), ("text/html", 406), ("application/vnd.ibm.powervm.uom+xml; version=99", 200),
                       ("application/atom+xml; charset=UTF-8", 200), ("*/*;q=0.1", 200), ("\u00e9", 200), (",,;", 200)):
    (answer,) = send(request("GET", one, token, Accept=accept))
    assert answer[0] == status, (accept, answer)
    if status == 406:
        document(answer, 406, accept)

# Several requests at once on one connection are answered in their order.
paths = ["quick/All", "nothing", "search/(SystemName==x)", "quick/All"] * 5
found = send(b"".join(request("GET", f"/rest/api/uom/ManagedSystem/{path}", token) for path in paths), len(paths))
assert [status for status, _, _ in found] == [200, 404, 204, 200] * 5, found
# A request behind one that is malformed is not taken from its body.
found = send(request("PUT", "/rest/api/web/Logon", body=request("GET", one, token), Connection="close"), 2)
assert len(found) == 1 and found[0][0] == 400, found

# A client that goes away in the middle of an answer, or never reads it, takes nothing from others.
for _ in range(20):
    stream = connect(secure=False)
    stream.sendall(request("PUT", "/rest/api/web/Logon", body=LOGON.encode())[:60])
    stream.close()
idle = []
for _ in range(40):
    stream = connect()
    stream.sendall(b"".join(request("GET", "/rest/api/uom/ManagedSystem", token) for _ in range(50)))
    idle.append(stream)
alive()
for stream in idle:
    stream.close()

# Half-open connections are counted: those beyond the bound are closed at once, and room is there again after them.
half_open = []
for _ in range(200):
    stream = socket.create_connection((url.hostname, url.port), timeout=60)
    stream.sendall(b"\x16\x03\x01")
    half_open.append(stream)
refused, _, _ = select.select(half_open, [], [], 60)
assert refused, "connections of one address are not bounded"
for stream in half_open:
    stream.close()
for attempt in range(600):
    try:
        alive()
        break
    except (OSError, ValueError):
        threading.Event().wait(0.1)
else:
    raise AssertionError("the server does not come back")

# Log-ons with wrong passwords, many at once: each is refused or told to wait, nobody gets in, and the server answers.
results = []


def guess():
    body = b"<LogonRequest><UserID>hscpe</UserID><Password>wrong</Password></LogonRequest>"
    results.extend(status for status, _, _ in send(request("PUT", "/rest/api/web/Logon", body=body)))


threads = [threading.Thread(target=guess) for _ in range(30)]
for thread in threads:
    thread.start()
alive()
for thread in threads:
    thread.join()
assert results and set(results) <= {401, 503}, results
log = subprocess.run([varan, "hmc", "--data", data, "lssvcevents -t console"], capture_output=True, text=True).stdout
assert "wrong" not in log and "abc123" not in log and token not in log, "a secret is in the audit"
print("bad input gets one clear answer")
