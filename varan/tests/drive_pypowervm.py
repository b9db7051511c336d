"""pypowervm reads every type that the API has, in console mode and in NovaLink mode; what its wrappers say is compared
with what the console's command line says, property by property.

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
from pypowervm.wrappers import cluster, enterprise_pool, iocard, logical_partition, managed_system  # noqa: E402
from pypowervm.wrappers import management_console, network, shared_proc_pool, storage, virtual_io_server  # noqa: E402

console, management, varan, data = sys.argv[1:5]


def hmc(line):
    """Rows of a listing; -F values of a list are joined by commas, so such rows are asked for one attribute alone."""
    done = subprocess.run([varan, "hmc", "--data", data, line], capture_output=True, text=True)
    assert done.returncode == 0, f"{line}: {done.stdout}"
    return [row for row in done.stdout.splitlines() if row != "No results were found."]


def rows(line, attributes):
    return [row.split(",") for row in hmc(f"{line} -F {','.join(attributes)}")]


def flag(value):
    return "1" if value else "0"


def number(value):
    """Numbers are compared as numbers: one side says 0.5 and the other 0.50."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def compare(what, line, objects, properties):
    """Objects in the order of the listing; each property is the attribute of that name."""
    said = rows(line, [attribute for attribute, _ in properties])
    told = [[read(one) for _, read in properties] for one in objects]
    assert [[number(value) for value in row] for row in told] == [[number(value) for value in row] for row in said], (
        f"{what}: {told} but the command line says {said}")
    checked.update(attribute for attribute, _ in properties)


checked = set()

SYSTEM = [
    ("name", lambda one: one.system_name),
    ("type_model", lambda one: one.mtms.mtms_str.split("*")[0]),
    ("serial_num", lambda one: one.mtms.serial),
    ("ipaddr", lambda one: one.host_ip_address),
    ("uuid", lambda one: one.uuid),
    ("max_lpars", lambda one: one.element.findtext("MaximumPartitions")),
    ("description", lambda one: one.element.findtext("Description") or ""),
    ("sp_version", lambda one: one.element.findtext("ServiceProcessorVersion")),
    ("max_power_ctrl_lpars", lambda one: one.element.findtext("MaximumPowerControlPartitions")),
]
# Capabilities by the name that the wrapper gives them.
CAPABILITIES = [
    ("active_lpar_mobility_capable", "active_lpar_mobility_capable"),
    ("inactive_lpar_mobility_capable", "inactive_lpar_mobility_capable"),
    ("powervm_lpar_simplified_remote_restart_capable", "simplified_remote_restart_capable"),
    ("dynamic_simplified_remote_restart_toggle_capable", "dynamic_srr_capable"),
    ("active_mem_expansion_capable", "active_memory_expansion_capable"),
    ("micro_lpar_capable", "micro_lpar_capable"),
]
SYSTEM_MEMORY = [
    ("installed_sys_mem", lambda one: one.memory_total),
    ("curr_avail_sys_mem", lambda one: one.memory_free),
    ("configurable_sys_mem", lambda one: one.memory_configurable),
    ("mem_region_size", lambda one: one.memory_region_size),
    ("sys_firmware_mem", lambda one: one.firmware_memory),
]
SYSTEM_PROCESSORS = [
    ("installed_sys_proc_units", lambda one: one.proc_units),
    ("configurable_sys_proc_units", lambda one: one.proc_units_configurable),
    ("curr_avail_sys_proc_units", lambda one: one.proc_units_avail),
    ("min_proc_units_per_virtual_proc", lambda one: one.min_proc_units),
    ("max_virtual_procs_per_lpar", lambda one: one.max_sys_vcpus_limit),
]
PARTITION = [
    ("name", lambda one: one.name),
    ("lpar_id", lambda one: one.id),
    ("lpar_env", lambda one: {"AIX/Linux": "aixlinux", "Virtual IO Server": "vioserver", "OS400": "os400"}[one.env]),
    ("state", lambda one: one.state.title()),
    ("rmc_state", lambda one: one.rmc_state),
    ("rmc_ipaddr", lambda one: one.rmc_ip or ""),
    ("os_version", lambda one: one.operating_system),
    ("uuid", lambda one: one.uuid),
    ("logical_serial_num", lambda one: one.element.findtext("LogicalSerialNumber")),
    ("lpar_avail_priority", lambda one: one.avail_priority),
    ("lpar_keylock", lambda one: {"normal": "norm", "manual": "manual"}[one.keylock_pos]),
    ("allow_perf_collection", lambda one: flag(one.allow_perf_data_collection)),
    ("desired_lpar_proc_compat_mode", lambda one: one.pending_proc_compat_mode),
    ("curr_lpar_proc_compat_mode", lambda one: one.proc_compat_mode),
    ("dlpar_mem_capable", lambda one: flag(one.capabilities.mem_dlpar)),
    ("dlpar_proc_capable", lambda one: flag(one.capabilities.proc_dlpar)),
    ("dlpar_io_capable", lambda one: flag(one.capabilities.io_dlpar)),
    ("sync_curr_profile", lambda one: {"Disabled": "0", "On": "1", "Suspended": "2"}[one.element.findtext("CurrentProfileSync")]),
    ("time_ref", lambda one: flag(one.element.findtext("IsTimeReferencePartition") == "true")),
    ("redundant_err_path_reporting",
     lambda one: flag(one.element.findtext("IsRedundantErrorPathReportingEnabled") == "true")),
    ("auto_start", lambda one: flag(one.element.findtext("PowerOnWithHypervisor") == "true")),
    ("description", lambda one: one.element.findtext("Description") or ""),
]
CLIENT = [
    ("simplified_remote_restart_capable", lambda one: flag(one.srr_enabled)),
    ("remote_restart_capable", lambda one: flag(one.rr_enabled)),
    ("suspend_capable", lambda one: flag(one.element.findtext("SuspendCapable") == "true")),
    ("migration_disabled", lambda one: flag(one.element.findtext("MigrationDisable") == "true")),
]
SERVER = [("msp", lambda one: flag(one.is_mover_service_partition))]
MEMORY = [
    ("curr_min_mem", lambda one: one.mem_config.min),
    ("curr_mem", lambda one: one.mem_config.current),
    ("curr_mem", lambda one: one.mem_config.desired),
    ("curr_max_mem", lambda one: one.mem_config.max),
    ("run_mem", lambda one: one.element.findtext("PartitionMemoryConfiguration/RuntimeMemory")),
]
PROCESSORS = [
    ("curr_proc_mode", lambda one: "ded" if one.proc_config.has_dedicated else "shared"),
    ("curr_sharing_mode", lambda one: {
        "keep idle procs": "keep_idle_procs", "sre idle proces": "share_idle_procs",
        "sre idle procs active": "share_idle_procs_active", "sre idle procs always": "share_idle_procs_always",
        "capped": "cap", "uncapped": "uncap"}[one.proc_config.sharing_mode]),
]
SHARED = [
    ("curr_min_procs", lambda one: one.proc_config.shared_proc_cfg.min_virtual),
    ("curr_procs", lambda one: one.proc_config.shared_proc_cfg.desired_virtual),
    ("curr_max_procs", lambda one: one.proc_config.shared_proc_cfg.max_virtual),
    ("curr_min_proc_units", lambda one: one.proc_config.shared_proc_cfg.min_units),
    ("curr_proc_units", lambda one: one.proc_config.shared_proc_cfg.desired_units),
    ("curr_max_proc_units", lambda one: one.proc_config.shared_proc_cfg.max_units),
    ("curr_shared_proc_pool_id", lambda one: one.proc_config.shared_proc_cfg.pool_id),
]
DEDICATED = [
    ("curr_min_procs", lambda one: one.proc_config.dedicated_proc_cfg.min),
    ("curr_procs", lambda one: one.proc_config.dedicated_proc_cfg.desired),
    ("curr_max_procs", lambda one: one.proc_config.dedicated_proc_cfg.max),
]
ETHERNET = [
    ("slot_num", lambda one: one.slot),
    ("lpar_id", lambda one: one.lpar_id),
    ("mac_addr", lambda one: one.mac),
    ("port_vlan_id", lambda one: one.pvid),
    ("ieee_virtual_eth", lambda one: flag(one.is_tagged_vlan_supported)),
]
TRUNK = [
    ("slot_num", lambda one: one.virtual_slot_number),
    ("lpar_id", lambda one: one.vios_id),
    ("port_vlan_id", lambda one: one.pvid),
    ("ieee_virtual_eth", lambda one: flag(one.has_tag_support)),
    ("trunk_priority", lambda one: one.trunk_pri),
]
SCSI = [
    ("slot_num", lambda one: one.element.findtext("VirtualSlotNumber")),
    ("adapter_type", lambda one: one.element.findtext("AdapterType").lower()),
    ("lpar_id", lambda one: one.element.findtext("LocalPartitionID")),
    ("remote_lpar_id", lambda one: one.element.findtext("RemoteLogicalPartitionID").replace("65535", "any")),
    ("remote_slot_num", lambda one: one.element.findtext("RemoteSlotNumber").replace("65535", "any")),
    ("is_required", lambda one: flag(one.element.findtext("RequiredAdapter") == "true")),
]
FIBRE_CHANNEL = [
    ("slot_num", lambda one: one.element.findtext("VirtualSlotNumber")),
    ("adapter_type", lambda one: one.element.findtext("AdapterType").lower()),
    ("lpar_id", lambda one: one.element.findtext("LocalPartitionID")),
    ("remote_lpar_id", lambda one: one.element.findtext("ConnectingPartitionID")),
    ("remote_slot_num", lambda one: one.element.findtext("ConnectingVirtualSlotNumber")),
]
POOL = [
    ("name", lambda one: one.name),
    ("shared_proc_pool_id", lambda one: one.id),
]
SLOT = [
    ("drc_index", lambda one: f"{int(one.drc_index):08X}"),
    ("drc_name", lambda one: one.drc_name),
    ("lpar_id", lambda one: "none" if one.part_id is None else one.part_id),
]


def check_resources(one, where):
    """Memory and processors: zero before the first activation, on both sides."""
    compare("memory", f"lshwres -r mem --level lpar {where}", [one], MEMORY)
    processors = f"lshwres -r proc --level lpar {where}"
    compare("processors", processors, [one], PROCESSORS)
    compare("processors", processors, [one], DEDICATED if one.proc_config.has_dedicated else SHARED)
    if one.proc_config.sharing_mode == "uncapped":
        weight = [("curr_uncap_weight", lambda one: one.proc_config.shared_proc_cfg.uncapped_weight)]
        compare("weight", processors, [one], weight)
    (slots,) = rows(f"lshwres -r virtualio --rsubtype slot --level lpar {where}", ["curr_max_virtual_slots"])
    # Without a configuration the one side says nothing, the other what a new one begins with.
    if slots[0] not in ("0", "null"):
        assert [str(one.io_config.max_virtual_slots)] == slots, slots


def check_ethernet(adapters, said, properties, vlans):
    told = [[str(read(one)) for _, read in properties] for one in adapters]
    assert told == said, (told, said)
    assert [one.tagged_vlans for one in adapters] == vlans, vlans


def check_adapters(system, one, where):
    """Every kind of virtual adapter, with what a server serves."""
    ethernet = f"lshwres -r virtualio --rsubtype eth --level lpar {where}"
    trunk = [row == "1" for row in hmc(f"{ethernet} -F is_trunk")]
    # A list is quoted where it has more than one element.
    vlans = [[] if row in ("none", "") else [int(vlan) for vlan in row.strip('"').split(",")]
             for row in hmc(f"{ethernet} -F addl_vlan_ids")]
    for kind, properties, adapters in (
            (False, ETHERNET, network.CNA.get(system.adapter, parent=one)),
            (True, TRUNK, one.trunk_adapters if isinstance(one, virtual_io_server.VIOS) else [])):
        said = [row for row, is_trunk in zip(rows(ethernet, [name for name, _ in properties]), trunk) if is_trunk == kind]
        check_ethernet(adapters, said, properties, [list_ for list_, is_trunk in zip(vlans, trunk) if is_trunk == kind])
    for rsubtype, kind, properties in (
            ("scsi", "VirtualSCSIClientAdapter", SCSI), ("fc", "VirtualFibreChannelClientAdapter", FIBRE_CHANNEL)):
        line = f"lshwres -r virtualio --rsubtype {rsubtype} --level lpar {where}"
        said = [row for row in rows(line, [name for name, _ in properties]) if row[1] == "client"]
        feed = system.adapter.read(one.schema_type, root_id=one.uuid, child_type=kind).feed
        told = [[read(entry) for _, read in properties] for entry in (feed.entries if feed else [])]
        assert told == said, (kind, told, said)
        if rsubtype == "fc" and feed:
            clients = storage.VFCClientAdapter.get(system.adapter, parent=one)
            kinds = hmc(f"{line} -F adapter_type")
            said = [row.strip('"').lower() for row, side in zip(hmc(f"{line} -F wwpns"), kinds) if side == "client"]
            assert [",".join(client.wwpns).lower() for client in clients] == said, said


def check_mappings(system, server, where):
    server = virtual_io_server.VIOS.get(system.adapter, uuid=server.uuid, xag=["ViosSCSIMapping", "ViosFCMapping"])
    for rsubtype, mappings, properties in (("scsi", server.scsi_mappings, SCSI), ("fc", server.vfc_mappings, FIBRE_CHANNEL)):
        line = f"lshwres -r virtualio --rsubtype {rsubtype} --level lpar {where}"
        said = [row for row in rows(line, [name for name, _ in properties]) if row[1] == "server"]
        told = [[read(one.server_adapter) for _, read in properties] for one in mappings]
        assert told == said, (rsubtype, told, said)
        for one in mappings:
            if one.client_adapter is not None:
                assert one.client_lpar_href and one.client_adapter.lpar_id != server.id
                ends = (one.server_adapter.element, one.client_adapter.element)
                assert ends[0].findtext("LocationCode") != ends[1].findtext("LocationCode")
    return len(server.scsi_mappings) + len(server.vfc_mappings)


def check_partitions(kind, system, environments, further):
    groups = {"xag": ["ViosNetwork", "ViosStorage"]} if kind is virtual_io_server.VIOS else {}
    partitions = kind.get(system.adapter, parent=system, **groups)
    name = system.system_name
    own = [row[0] for row in rows(f"lssyscfg -r lpar -m {name}", ["lpar_id", "lpar_env"]) if row[1] in environments]
    assert [str(one.id) for one in partitions] == own, own
    mappings = 0
    for one in partitions:
        where = f"-m {name} --filter lpar_ids={one.id}"
        compare("partition", f"lssyscfg -r lpar {where}", [one], PARTITION + further)
        check_resources(one, where)
        check_adapters(system, one, where)
        if kind is virtual_io_server.VIOS:
            mappings += check_mappings(system, one, where)
            assert one.is_license_accepted and list(one.seas) == [] and list(one.phys_vols) == []
            assert storage.VG.get(system.adapter, parent=one) == []
        assert iocard.VNIC.get(system.adapter, parent=one) == []
        assert iocard.SRIOVEthLPort.get(system.adapter, parent=one) == []
        again = one.refresh()
        assert again.etag == one.etag and again.name == one.name
        # Profiles have no wrapper.
        profiles = system.adapter.read(one.schema_type, root_id=one.uuid, child_type="LogicalPartitionProfile").feed
        told = [entry.element.findtext("ProfileName") for entry in profiles.entries]
        assert told == hmc(f"lssyscfg -r prof -m {name} --filter lpar_ids={one.id} -F name"), told
    return mappings


def check_networks(adapter, system):
    name = system.system_name
    switches = network.VSwitch.get(adapter, parent=system)
    compare("switches", f"lshwres -r virtualio --rsubtype vswitch -m {name}", switches, [("vswitch", lambda one: one.name)])
    assert [one.switch_id for one in switches] == list(range(len(switches)))
    adapters = hmc(f"lshwres -r virtualio --rsubtype eth -m {name} --level lpar -F port_vlan_id,vswitch")
    networks = network.VNet.get(adapter, parent=system)
    told = {(str(one.vlan), switches[one.vswitch_id].name) for one in networks}
    assert {tuple(row.split(",")) for row in adapters} <= told, (adapters, told)
    for one in networks:
        assert one.associated_switch_uri.endswith(switches[one.vswitch_id].uuid)
    assert sorted(uri for one in switches for uri in one.vnet_uri_list) == sorted(one.related_href for one in networks)
    assert network.NetBridge.get(adapter, parent=system) == []


def check(adapter, names):
    systems = managed_system.System.get(adapter)
    assert [one.system_name for one in systems] == names, [one.system_name for one in systems]
    (console_object,) = management_console.ManagementConsole.get(adapter)
    assert console_object.name == "myhmc"
    assert f"*SE {console_object.mtms.serial}" in hmc("lshmc -v"), console_object.mtms
    mappings = 0
    for system in systems:
        name = system.system_name
        compare("system", f"lssyscfg -r sys -m {name}", [system], SYSTEM)
        (state,) = hmc(f"lssyscfg -r sys -m {name} -F state")
        assert system.system_state == state.lower(), state
        capabilities = system.get_capabilities()
        compare("capabilities", f"lssyscfg -r sys -m {name}", [capabilities],
                [(attribute, lambda one, key=key: flag(one[key])) for attribute, key in CAPABILITIES if key in capabilities])
        compare("memory", f"lshwres -r mem -m {name} --level sys", [system], SYSTEM_MEMORY)
        compare("processors", f"lshwres -r proc -m {name} --level sys", [system], SYSTEM_PROCESSORS)
        (modes,) = hmc(f"lssyscfg -r sys -m {name} -F lpar_proc_compat_modes")
        assert list(system.proc_compat_modes) == modes.strip('"').replace("+", "_Plus").split(","), modes
        compare("slots", f"lshwres -r io --rsubtype slot -m {name}", system.asio_config.io_slots, SLOT)
        descriptions = hmc(f"lshwres -r io --rsubtype slot -m {name} -F description")
        assert [one.description for one in system.asio_config.io_slots] == [row.strip('"') for row in descriptions]
        assert list(system.asio_config.sriov_adapters) == []
        mappings += check_partitions(virtual_io_server.VIOS, system, ["vioserver"], SERVER)
        check_partitions(logical_partition.LPAR, system, ["aixlinux", "os400"], CLIENT)
        check_networks(adapter, system)
        compare("pools", f"lshwres -r procpool -m {name}", shared_proc_pool.SharedProcPool.get(adapter, parent=system), POOL)
    assert mappings, "no server serves anybody"
    for kind in (cluster.Cluster, storage.SSP, storage.Tier, enterprise_pool.Pool):
        assert kind.get(adapter) == [], kind


# What changes by itself must have come to its end: partitions that start, connections that come up.
names = hmc("lssyscfg -r sys -F name")
for attempt in range(600):
    states = [row for name in names for row in rows(f"lssyscfg -r lpar -m {name}", ["state", "rmc_state"])]
    if all(row in (["Running", "active"], ["Not Activated", "inactive"]) for row in states):
        break
    time.sleep(0.1)
else:
    raise AssertionError(f"partitions do not settle: {states}")

url = urlsplit(console)
session = powervm.Session(url.hostname, "hscroot", "abc123", port=url.port, certpath=None)
adapter = powervm.Adapter(session)
assert session.mc_type == "HMC"
check(adapter, names)
found = virtual_io_server.VIOS.search(adapter, name="vios1")
assert found and {one.name for one in found} == {"vios1"}
assert [one.id for one in logical_partition.LPAR.search(adapter, name="lpar1")] == [3]
assert logical_partition.LPAR.search(adapter, name="nobody") == []
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
print(f"pypowervm and the command line say the same of {len(checked)} attributes")
