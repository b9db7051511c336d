"""pypowervm reads every type that the API has, in console mode and in NovaLink mode; what its wrappers say is compared
with what the console's command line says.

Arguments: URL of the console's API, URL of the management partition's, the varan binary, the data directory.
"""
import subprocess
import sys
import time
import warnings
from urllib.parse import urlsplit

warnings.filterwarnings("ignore")
import pypowervm.adapter as powervm  # noqa: E402
from pypowervm import exceptions  # noqa: E402
from pypowervm.wrappers import logical_partition, managed_system, management_console, network  # noqa: E402
from pypowervm.wrappers import shared_proc_pool, virtual_io_server  # noqa: E402

console, management, varan, data = sys.argv[1:5]


def hmc(line):
    done = subprocess.run([varan, "hmc", "--data", data, line], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    return [row.split(",") for row in done.stdout.splitlines() if row != "No results were found."]


def same(what, api, line):
    api = [[str(value) for value in row] for row in api]
    said = hmc(line)
    assert api == said, f"{what}: {api} but the command line says {said}"


def check_partitions(kind, system, environments):
    partitions = kind.get(system.adapter, parent=system)
    fields = "name,lpar_id,state,rmc_state,lpar_avail_priority,logical_serial_num"
    said = hmc(f"lssyscfg -r lpar -m {system.system_name} -F {fields},lpar_env")
    said = [row[:-1] for row in said if row[-1] in environments]
    told = [
        [one.name, str(one.id), one.state, one.rmc_state, str(one.avail_priority), one.element.findtext("LogicalSerialNumber")]
        for one in partitions
    ]
    for row in said:
        row[2] = row[2].lower()
    assert told == said, (told, said)
    for one in partitions:
        where = f"-m {system.system_name} --filter lpar_ids={one.id}"
        memory, processors = one.mem_config, one.proc_config
        if one.state != "running":
            continue
        same("memory", [[memory.min, memory.desired, memory.max]],
             f"lshwres -r mem --level lpar {where} -F curr_min_mem,curr_mem,curr_max_mem")
        if not processors.has_dedicated:
            shared = processors.shared_proc_cfg
            rows = hmc(f"lshwres -r proc --level lpar {where} -F curr_procs,curr_proc_units")
            assert [[int(row[0]), float(row[1])] for row in rows] == [[shared.desired_virtual, shared.desired_units]]
        adapters = network.CNA.get(system.adapter, parent=one)
        rows = hmc(f"lshwres -r virtualio --rsubtype eth --level lpar {where} -F slot_num,mac_addr,port_vlan_id,is_trunk")
        # A trunk adapter is no client's adapter.
        said = [row[:3] for row in rows if row[3] != "1"]
        assert [[str(a.slot), a.mac, str(a.pvid)] for a in adapters] == said, said
        again = one.refresh()
        assert again.etag == one.etag and again.name == one.name
    return partitions


def check(adapter, names):
    systems = managed_system.System.get(adapter)
    assert [one.system_name for one in systems] == names, [one.system_name for one in systems]
    assert len(management_console.ManagementConsole.get(adapter)) == 1
    for system in systems:
        name = system.system_name
        same("system", [[name, system.mtms.mtms_str.split("*")[0], system.mtms.serial]],
             f"lssyscfg -r sys -m {name} -F name,type_model,serial_num")
        same("memory", [[system.memory_total, system.memory_free, system.memory_region_size, system.firmware_memory]],
             f"lshwres -r mem -m {name} --level sys "
             "-F installed_sys_mem,curr_avail_sys_mem,mem_region_size,sys_firmware_mem")
        rows = hmc(f"lshwres -r proc -m {name} --level sys "
                   "-F installed_sys_proc_units,curr_avail_sys_proc_units,min_proc_units_per_virtual_proc")
        told = [system.proc_units, system.proc_units_avail, system.min_proc_units]
        assert [[float(value) for value in row] for row in rows] == [told], (rows, told)
        check_partitions(virtual_io_server.VIOS, system, ["vioserver"])
        check_partitions(logical_partition.LPAR, system, ["aixlinux", "os400"])
        switches = network.VSwitch.get(adapter, parent=system)
        assert [[one.name] for one in switches] == hmc(f"lshwres -r virtualio --rsubtype vswitch -m {name} -F vswitch")
        assert network.VNet.get(adapter, parent=system)
        same("pools", [[one.name, one.id] for one in shared_proc_pool.SharedProcPool.get(adapter, parent=system)],
             f"lshwres -r procpool -m {name} -F name,shared_proc_pool_id")


# What changes by itself must have come to its end: partitions that start, connections that come up.
names = [row[0] for row in hmc("lssyscfg -r sys -F name")]
for attempt in range(600):
    rows = [row for name in names for row in hmc(f"lssyscfg -r lpar -m {name} -F state,rmc_state")]
    if all(row in (["Running", "active"], ["Not Activated", "inactive"]) for row in rows):
        break
    time.sleep(0.1)
else:
    raise AssertionError(f"partitions do not settle: {rows}")

url = urlsplit(console)
session = powervm.Session(url.hostname, "hscroot", "abc123", port=url.port, certpath=None)
adapter = powervm.Adapter(session)
assert session.mc_type == "HMC"
check(adapter, names)
found = virtual_io_server.VIOS.search(adapter, name="vios1")
assert found and {one.name for one in found} == {"vios1"}
try:
    logical_partition.LPAR.get(adapter, uuid="00000000-0000-0000-0000-000000000000")
    raise AssertionError("a partition that does not exist was read")
except exceptions.HttpNotFound as missing:
    assert "REST000B" in str(missing), missing
session.get_event_listener().shutdown()
session._logoff()

url = urlsplit(management)
local = powervm.Session("localhost", port=url.port, protocol="http")
assert local.mc_type == "PVM" and local.use_file_auth
check(powervm.Adapter(local), ["p814-1"])
local._logoff()
print("pypowervm and the command line say the same")
