"""Every document of the REST API against what recorded answers of real consoles hold: names, order, attributes, groups.

Arguments: URL of the console's API, URL of the management partition's, the varan binary, the data directory, and the list
of recorded elements.
"""
import http.client
import ssl
import subprocess
import sys
import time
import xml.etree.ElementTree as tree
from urllib.parse import urlsplit

console, management, varan, data, recorded = sys.argv[1:6]
UOM = "{http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/}"
WEB = "{http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/}"
ATOM = "{http://www.w3.org/2005/Atom}"
GROUPS = ["Advanced", "Hypervisor", "SystemNetwork", "ViosFCMapping", "ViosNetwork", "ViosSCSIMapping", "ViosStorage", "VNIC"]


def hmc(line):
    done = subprocess.run([varan, "hmc", "--data", data, line], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def settled():
    """Waits until the console has sessions with the partitions that run: what follows from that changes no document then."""
    for system in hmc("lssyscfg -r sys -F name").split():
        while "Running,inactive" in hmc(f"lssyscfg -r lpar -m {system} -F state,rmc_state"):
            time.sleep(0.1)


def recorded_types():
    """Type -> path -> (place, kb, shape, other words)."""
    types, path = {}, []
    for line in open(recorded):
        if line.startswith("#"):
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        name, *words = line.split()
        if depth == 0:
            kind = types.setdefault(name, {})
            path = []
            continue
        path = path[: depth - 1] + [name.rstrip("*")]
        kind["/".join(path)] = (len(kind), words[0], words[1], words[2:])
    return types


settled()
TYPES = recorded_types()
seen = {kind: set() for kind in TYPES}


def path_types(href):
    """The types of a link's path, without the identities between them."""
    return "/".join(href.split("/rest/api/uom/")[1].split("?")[0].split("/")[::2])


def check_element(kind, known, element, path):
    """One element with what is inside it."""
    where = f"{kind}: {path}"
    if path:
        assert path in known, f"{where} is not recorded"
        seen[kind].add(path)
        _, behaviour, shape, words = known[path]
        attributes = dict(element.attrib)
        if behaviour == "-":
            assert "kb" not in attributes and "kxe" not in attributes, where
        else:
            assert behaviour == "?" or attributes["kb"] == behaviour, f"{where}: {attributes} but {behaviour}"
            assert attributes["kxe"] == ("true" if "volatile" in words else "false"), where
        for key, word in (("ksv", "since="), ("group", "group=")):
            wanted = next((one[len(word):] for one in words if one.startswith(word)), None)
            assert attributes.get(key) == wanted, f"{where}: {key} {attributes.get(key)} but {wanted}"
        assert ("schemaVersion" in attributes) == (shape == "section"), where
        assert ("href" in attributes) == (shape == "link"), where
        order = [name for name in attributes if name in ("group", "ksv", "href", "schemaVersion")]
        assert order == sorted(order, key=["group", "ksv", "href", "schemaVersion"].index), f"{where}: {order}"
    names = [child.tag.split("}")[1] for child in element]
    if path == "" or known[path][2] == "section":
        assert names[:1] == ["Metadata"], f"{where}: {names[:1]}"
        if path:
            assert element.attrib["schemaVersion"] == schema, f"{where}: {element.attrib}"
        names = names[1:]
        children = list(element)[1:]
    else:
        assert "Metadata" not in names, where
        children = list(element)
    shapes = next((word[3:].split(",") for word in known[path][3] if word.startswith("to=")), None) if path else None
    for target in [element] if element.get("href") else [child for child in children if child.get("href")]:
        assert shapes is None or path_types(target.get("href")) in shapes, f"{where}: {target.get('href')} but {shapes}"
    if names and names[0] == "link":
        assert set(names) == {"link"} and all(child.get("rel") == "related" for child in children), where
        return
    places = []
    for child in children:
        inner = f"{path}/{child.tag.split('}')[1]}".lstrip("/")
        check_element(kind, known, child, inner)
        places.append(known[inner][0])
    assert places == sorted(places), f"{where}: {names}"


def ask(path, token=None, method="GET", body=None, base=console):
    url = urlsplit(base)
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection(url.hostname, url.port, context=context, timeout=60)
    connection.request(method, path, body=body, headers={"X-API-Session": token} if token else {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, text


body = "<LogonRequest><UserID>hscroot</UserID><Password>abc123</Password></LogonRequest>"
token = tree.fromstring(ask("/rest/api/web/Logon", method="PUT", body=body)[2])[1].text
status, headers, text = ask("/rest/api/uom/ManagementConsole", token)
version = headers["X-HMC-Schema-Version"]
# Consoles since version 9 write the first version into every document.
schema = {"V1_5_0": "V1_5_0", "V1_17_0": "V1_0"}[version]


def check_document(kind, text, group):
    found = 0
    for content in tree.fromstring(text).iter(f"{ATOM}content"):
        (root,) = content
        assert root.tag == UOM + kind and root.get("schemaVersion") == schema, root.attrib
        check_element(kind, TYPES[kind], root, "")
        named = {element.get("group") for element in root.iter() if element.get("group")}
        if group == "None":
            assert not named, (kind, named)
        elif group not in ("", "All"):
            assert named <= set(group.split(",")), (kind, group, named)
        found += 1
    return found


def check_feed(kind, path):
    """A feed in all its groups, and its entries by themselves."""
    status, headers, text = ask(f"/rest/api/uom/{path}", token)
    if status == 204:
        return []
    assert status == 200, (path, text)
    check_document(kind, text, "")
    for group in ["None", "All", "ViosFCMapping,ViosSCSIMapping"] + GROUPS:
        status, _, inner = ask(f"/rest/api/uom/{path}?group={group}", token)
        assert status == 200 and check_document(kind, inner, group), (path, group)
    hrefs = []
    for entry in tree.fromstring(text).iter(f"{ATOM}entry"):
        href = next(link.get("href") for link in entry.iter(f"{ATOM}link") if link.get("rel") == "SELF")
        status, headers, alone = ask(urlsplit(href).path, token)
        assert status == 200 and check_document(kind, alone, "") == 1, href
        rels = [link.get("rel") for link in tree.fromstring(alone).findall(f"{ATOM}link")]
        assert rels == ["SELF", "MANAGEMENT_CONSOLE"], rels
        tags = [tree.fromstring(alone).find(f"{UOM}etag").text, entry.find(f"{UOM}etag").text]
        assert tags[0] == headers["ETag"] == tags[1], (href, tags, headers["ETag"])
        # What an object links to is there.
        for link in tree.fromstring(alone).iter():
            target = link.get("href", "")
            if "/rest/api/uom/" in target:
                links.add(urlsplit(target).path)
        hrefs.append(urlsplit(href).path.split("/rest/api/uom/")[1])
    return hrefs


links = set()
count = 0
check_feed("ManagementConsole", "ManagementConsole")
systems = check_feed("ManagedSystem", "ManagedSystem")
partitions = []
for kind in ("LogicalPartition", "VirtualIOServer"):
    partitions += check_feed(kind, kind)
for system in systems:
    for kind in ("LogicalPartition", "VirtualIOServer", "VirtualSwitch", "VirtualNetwork", "SharedProcessorPool"):
        count += len(check_feed(kind, f"{system}/{kind}"))
for partition in partitions:
    for kind in ("LogicalPartitionProfile", "ClientNetworkAdapter", "VirtualSCSIClientAdapter", "VirtualFibreChannelClientAdapter"):
        count += len(check_feed(kind, f"{partition}/{kind}"))
for link in sorted(links):
    assert ask(link, token)[0] == 200, f"the link {link} leads nowhere"
for kind, paths in seen.items():
    assert paths, f"no document of type {kind} was seen"
mappings = [path for path in seen["VirtualIOServer"] if path.endswith("Mapping/ClientAdapter")]
assert len(mappings) == 2, mappings

# The same again through the links of the console's own document.
status, _, text = ask("/rest/api/uom/ManagementConsole", token)
own = [urlsplit(link.get("href")).path for link in tree.fromstring(text).find(f".//{UOM}ManagedSystems")]
assert own and all("/ManagementConsole/" in path for path in own), own
parent = own[0].rsplit("/", 1)[0]
assert ask(parent, token)[2].count("<entry>") == len(own)
print(f"{len(links)} links and {sum(map(len, seen.values()))} recorded elements were seen")
