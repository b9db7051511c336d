"""A plain client of the REST API: what is answered, and what bad input gets.

Arguments: URL of the console's API, URL of the management partition's, the varan binary, the data directory.
"""
import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as tree
from urllib.parse import urlsplit

console, management, varan, data = sys.argv[1:5]
UOM = "{http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/}"
WEB = "{http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/}"
ATOM = "{http://www.w3.org/2005/Atom}"


def ask(method, path, body=None, token=None, base=console, **headers):
    url = urlsplit(base)
    if url.scheme == "https":
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(url.hostname, url.port, context=context, timeout=60)
    else:
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        headers["X-API-Session"] = token
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer, text


def logon(user="hscroot", password="abc123", base=console):
    body = (
        '<LogonRequest xmlns="http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/" schemaVersion="V1_0">'
        f"<UserID>{user}</UserID><Password>{password}</Password></LogonRequest>"
    )
    return ask("PUT", "/rest/api/web/Logon", body, base=base, X_Audit_Memento="plain")


def refused(answer, text, status, part):
    assert answer.status == status, (answer.status, text)
    assert not text.startswith("<?xml"), text
    root = tree.fromstring(text)
    message = root.find(f".//{WEB}Message").text
    assert root.find(f".//{WEB}HTTPStatus").text == str(status), text
    assert part in message, message
    assert "abc123" not in text and "wrong" not in message


def hmc(line):
    done = subprocess.run([varan, "hmc", "--data", data, line], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def reached(partition):
    """Waits until the console has a session with the partition's RMC."""
    while hmc(f"lssyscfg -r lpar -m p814-1 --filter lpar_names={partition} -F rmc_state").strip() != "active":
        time.sleep(0.1)


# Log on: the right shape of the answer, cookies, wrong passwords and bodies.
answer, text = logon()
assert answer.status == 200 and text.startswith("<?xml"), text
root = tree.fromstring(text)
assert [child.tag for child in root] == [f"{WEB}Metadata", f"{WEB}X-API-Session"], text
token = root[1].text
assert "JSESSIONID=" + token in answer.headers.get_all("Set-Cookie")[0]
refused(*logon(password="wrong"), 401, "not valid")
refused(*ask("PUT", "/rest/api/web/Logon", "<LogonRequest>"), 400, "REST0001")
bomb = '<!DOCTYPE a [<!ENTITY b "b">]><LogonRequest><UserID>&b;</UserID></LogonRequest>'
refused(*ask("PUT", "/rest/api/web/Logon", bomb), 400, "REST0001")
refused(*ask("PUT", "/rest/api/web/Logon", "<a>" * 5000), 400, "nested")
refused(*ask("PUT", "/rest/api/web/Logon", "x" * 100_000), 413, "larger")

# Without a session, or with one that is over.
refused(*ask("GET", "/rest/api/uom/ManagedSystem"), 401, "session")
refused(*ask("GET", "/rest/api/uom/ManagedSystem", token="nothing"), 401, "session")
other = tree.fromstring(logon()[1])[1].text
assert ask("DELETE", "/rest/api/web/Logon", token=other)[0].status == 204
refused(*ask("GET", "/rest/api/uom/ManagedSystem", token=other), 401, "session")

# The other ways to say who one is.
for headers in ({"x_api_key": token}, {"Cookie": f"JSESSIONID={token}"}, {"Cookie": f"a=b; CCFWSESSION={token}"}):
    assert ask("GET", "/rest/api/uom/ManagementConsole", **headers)[0].status == 200, headers


def get(path, **headers):
    return ask("GET", "/rest/api/uom/" + path, token=token, **headers)


# Feeds: order of what is around the objects, links, tags.
answer, text = get("ManagedSystem?group=None")
assert answer.headers["Content-Type"] == "application/atom+xml" and not text.startswith("<?xml")
feed = tree.fromstring(text)
assert [child.tag.replace(ATOM, "") for child in feed][:5] == ["id", "updated", "link", "link", "generator"], text
entries = feed.findall(f"{ATOM}entry")
names = hmc("lssyscfg -r sys -F name").split()
assert [entry.find(f".//{UOM}SystemName").text for entry in entries] == names
parts = [child.tag.split("}")[1] for child in entries[0]]
assert parts == ["id", "title", "published", "link", "author", "etag", "content"], parts
link = entries[0].find(f"{ATOM}link")
assert link.get("rel") == "SELF" and link.get("href").startswith(console.rsplit("/rest", 1)[0]), link.attrib
assert link.get("href").endswith("?group=None")
system = entries[0].find(f"{ATOM}id").text
assert text.index(system) and feed.find(f".//{UOM}AtomID").text == system

# Entity tags.
answer, text = get(f"ManagedSystem/{system}")
tag = answer.headers["ETag"]
assert int(tag) or tag == "0"
answer, text = get(f"ManagedSystem/{system}", If_None_Match=tag)
assert (answer.status, text) == (304, ""), (answer.status, text)
feed_tag = get("LogicalPartition")[0].headers["ETag"]
assert get("LogicalPartition", If_None_Match=feed_tag)[0].status == 304
hmc("chsyscfg -r lpar -m p814-1 -i 'name=lpar2,lpar_avail_priority=99'")
answer, text = get("LogicalPartition", If_None_Match=feed_tag)
assert answer.status == 200 and ">99</AvailabilityPriority>" in text

# Partitions: servers are no logical partitions; states in lower case.
feed = tree.fromstring(text)
assert [one.text for one in feed.iter(f"{UOM}PartitionName")] == ["lpar1", "lpar2"]
partitions = {one.find(f".//{UOM}PartitionName").text: one.find(f"{ATOM}id").text for one in feed.findall(f"{ATOM}entry")}
assert partitions["lpar1"] == partitions["lpar1"].upper()
one = tree.fromstring(get("LogicalPartition/" + partitions["lpar1"])[1])
assert one.find(f".//{UOM}PartitionState").text == "running"
assert one.find(f".//{UOM}ClientNetworkAdapters") is not None
within = get(f"ManagedSystem/{system}/LogicalPartition/{partitions['lpar1']}")[1]
assert f"ManagedSystem/{system}/LogicalPartition/{partitions['lpar1']}" in within

server = json.loads(get("VirtualIOServer/quick/All")[1])[0]["UUID"]

# What is below a partition, and empty feeds.
for kind, count in (("LogicalPartitionProfile", 1), ("ClientNetworkAdapter", 2), ("VirtualSCSIClientAdapter", 1),
                    ("VirtualFibreChannelClientAdapter", 1)):
    found = tree.fromstring(get(f"LogicalPartition/{partitions['lpar1']}/{kind}")[1])
    entries = found.findall(f"{ATOM}entry")
    assert len(entries) == count, (kind, len(entries))
    href = entries[0].find(f"{ATOM}link").get("href").split("/rest/api/uom/")[1]
    assert get(href)[0].status == 200, href
for path in (f"LogicalPartition/{partitions['lpar2']}/ClientNetworkAdapter", "Cluster", "Group",
             "SharedStoragePool", "Tier", "PowerEnterprisePool", "Cluster?group=None", "Cluster/search/(ClusterName=='x')",
             f"ManagedSystem/{system}/SharedMemoryPool", f"ManagedSystem/{system}/NetworkBridge",
             f"ManagedSystem/{system}/ReservedStorageDevicePool", f"LogicalPartition/{partitions['lpar1']}/VirtualNICDedicated",
             f"LogicalPartition/{partitions['lpar1']}/SRIOVEthernetLogicalPort", f"VirtualIOServer/{server}/VolumeGroup"):
    answer, text = get(path)
    assert (answer.status, text) == (204, ""), (path, answer.status)

assert ask("GET", "/rest/api/web/File", token=token)[0].status == 204

# Quick answers.
systems = json.loads(get("ManagedSystem/quick/All")[1])
assert [one["SystemName"] for one in systems] == names and systems[0]["State"] == "operating"
assert list(systems[0])[:2] == ["UUID", "SystemName"]
assert "UUID" not in json.loads(get(f"ManagedSystem/{system}/quick")[1])
assert get(f"LogicalPartition/{partitions['lpar2']}/quick/PartitionState")[1] == '"not activated"'
assert len(json.loads(get(f"ManagedSystem/{system}/VirtualIOServer/quick/All")[1])) == 2
refused(*get(f"LogicalPartition/{partitions['lpar2']}/quick/All"), 404, "REST0003")
refused(*get(f"LogicalPartition/{partitions['lpar2']}/quick/Nothing"), 404, "REST0003")

# Searches in the ways that clients write them.
for expression in ("(SystemName=='p814-1')", "(SystemName==p814-1)", "(SystemName==%22p814-1%22)"):
    answer, text = get("ManagedSystem/search/" + expression)
    assert answer.status == 200 and text.count("<entry>") == 1, expression
assert get("LogicalPartition/search/(PartitionName=='nobody')")[0].status == 204
for expression in ("nonsense", "(PartitionState==not%20activated)", "(PartitionName=='x", "(Nothing=='x')", "%28%28"):
    refused(*get("LogicalPartition/search/" + expression), 500, "Unable to parse expression.")
for expression in ("(PartitionState=='not%20activated')", "(PartitionState==running)", "(PartitionName=='%E4%B8%AD')"):
    assert get("LogicalPartition/search/" + expression)[0].status in (200, 204), expression
assert get("ManagedSystem/search/(State==operating)")[0].status == 200

# What does not exist, and what this level does not do.
refused(*get("Job"), 400, "REST000B")
GONE = "REST000B The URL presented to the Management Console REST Web Services is not valid."
for path in ("LogicalPartition/00000000-0000-0000-0000-000000000000", "LogicalPartition/nonsense",
             "VirtualIOServer/" + partitions["lpar1"],
             "LogicalPartition/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "LogicalPartition/%00", "LogicalPartition/%ff%fe",
             "LogicalPartition/%E4%B8%AD", "LogicalPartition/" + "A" * 6000,
             "ManagedSystem/" + system.replace("-", ""), "Cluster/x", "Tier/x/LogicalUnit", "Cluster/x/LogicalUnit/y",
             f"ManagedSystem/{system}/SharedMemoryPool/x", "LogicalPartition/quick", "ManagementConsole/x/ManagedSystem"):
    answer, text = get(path)
    refused(answer, text, 404, GONE)
    assert "The supplied URI does not identify a known resource." in text, text
refused(*get(f"ManagedSystem/{system}/Job"), 400, "REST000D")
refused(*get(f"LogicalPartition/{partitions['lpar1']}/VolumeGroup"), 400, "REST000D")
refused(*get("LogicalPartition/../../../../etc/passwd"), 400, "REST000D")
refused(*get("../../../../etc/passwd"), 400, "REST000E")
refused(*get("SRIOVAdapter"), 400, "REST000E Unrecognized root REST type of SRIOVAdapter.")
refused(*get("ManagedSystem?group=Nothing"), 400, "Nothing")
refused(*get("ManagedSystem?group=%E4%B8%AD"), 400, "not valid")
refused(*get("ManagedSystem", Accept="image/png"), 406, "acceptable")
refused(*ask("GET", "/nothing", token=token), 404, "REST000B")
refused(*ask("POST", f"/rest/api/uom/ManagedSystem/{system}", "<a/>", token=token), 405, "not supported")
answer, text = get("ManagedSystem", Accept="application/vnd.ibm.powervm.uom+xml; type=ManagedSystem")
assert answer.headers["Content-Type"] == "application/vnd.ibm.powervm.uom+xml; type=ManagedSystem"
assert ask("GET", "/rest/api/web/schema/ManagedSystem.xsd", token=token)[1].startswith("<xs:schema")

# A server's document changes with its clients, and so does its tag.
reached("vios1")
reached("lpar1")
hmc("chhwres -r virtualio --rsubtype scsi -m p814-1 -o a -p vios1 -s 31 -a adapter_type=server,remote_lpar_name=lpar1,remote_slot_num=7")
answer, text = get("VirtualIOServer/" + server)
tag, clients = answer.headers["ETag"], text.count("<ClientAdapter")
assert get("VirtualIOServer/" + server, If_None_Match=tag)[0].status == 304
hmc("chhwres -r virtualio --rsubtype scsi -m p814-1 -o a -p lpar1 -s 7 -a adapter_type=client,remote_lpar_name=vios1,remote_slot_num=31")
answer, text = get("VirtualIOServer/" + server, If_None_Match=tag)
assert answer.status == 200 and text.count("<ClientAdapter") == clients + 1, (answer.status, clients)

# Events: introduced at once, then told of what happens.
assert "NEW_CLIENT" in get("Event")[1]
heard = []


def listen():
    for _ in range(12):
        answer, text = get("Event")
        if answer.status == 200:
            heard.append(text)
            if "DELETE_URI" in text:
                return


listener = threading.Thread(target=listen)
listener.start()
hmc("rmsyscfg -r lpar -m p814-1 -n lpar2")
listener.join()
text = "".join(heard)
assert "DELETE_URI" in text and f"LogicalPartition/{partitions['lpar2']}" in text, text
refused(*get("LogicalPartition/" + partitions["lpar2"]), 404, GONE)

# The same users and the same audit as over SSH; a removed user's session is over.
hmc("mkhmcusr -i 'name=reader,taskrole=hmcviewer,passwd=abc12345,remote_webui_access=1'")
reader = tree.fromstring(logon("reader", "abc12345")[1])[1].text
assert ask("GET", "/rest/api/uom/ManagedSystem", token=reader)[0].status == 200
hmc("rmhmcusr -u reader")
refused(*ask("GET", "/rest/api/uom/ManagedSystem", token=reader), 401, "session")
hmc("mkhmcusr -i 'name=shell,taskrole=hmcviewer,passwd=abc12345'")
refused(*logon("shell", "abc12345"), 401, "not valid")
assert "REST PUT" in hmc("lssvcevents -t console")

# A user whose role names one partition sees that one, its system, and nothing else.
serial = hmc("lssyscfg -r sys -m p814-1 -F type_model,serial_num").strip().replace(",", "*")
hmc("mkaccfg -t resourcerole -i 'name=one,\"resources=lpar:root/ibmhscS1_0|1*" + serial + "|IBMHSC_Partition\"'")
hmc("mkhmcusr -i 'name=narrow,taskrole=hmcviewer,passwd=abc12345,remote_webui_access=1,resourcerole=one'")
narrow = tree.fromstring(logon("narrow", "abc12345")[1])[1].text
seen = json.loads(ask("GET", "/rest/api/uom/ManagedSystem/quick/All", token=narrow)[1])
assert [one["SystemName"] for one in seen] == ["p814-1"], seen
servers = json.loads(ask("GET", "/rest/api/uom/VirtualIOServer/quick/All", token=narrow)[1])
assert [(one["PartitionID"], one["PartitionName"]) for one in servers] == [(1, "vios1")], servers
assert ask("GET", "/rest/api/uom/LogicalPartition", token=narrow)[0].status == 204
refused(*ask("GET", "/rest/api/uom/LogicalPartition/" + partitions["lpar1"], token=narrow), 404, GONE)

for _ in range(3):
    logon("hscpe", "wrong")
refused(*logon("hscpe", "abc123"), 401, "locked")

# The management partition: its system alone, a file instead of a password.
body = "<LogonRequest><UserID>local</UserID><GenerateX-API-SessionFile>true</GenerateX-API-SessionFile></LogonRequest>"
answer, text = ask("PUT", "/rest/api/web/Logon", body, base=management)
assert answer.headers["X-MC-Type"] == "PVM", answer.headers
path = tree.fromstring(text)[1].text
assert os.stat(path).st_mode & 0o077 == 0
secret = open(path).read()
answer, text = ask("GET", "/rest/api/uom/ManagedSystem/quick/All", token=secret, base=management)
assert [one["SystemName"] for one in json.loads(text)] == ["p814-1"]
assert ask("DELETE", "/rest/api/web/Logon", token=secret, base=management)[0].status == 204
assert not os.path.exists(path)
refused(*ask("PUT", "/rest/api/web/Logon", body), 401, "not valid")
assert ask("DELETE", "/rest/api/web/Logon", token=token)[0].status == 204
print("all answers are right")
