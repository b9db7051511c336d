use super::*;
use crate::record::parse_record;
use crate::rules::tests_support::{TwoServers, system};

fn added(kind: AdapterKind, slot: Option<u16>, text: &str) -> Result<Configuration, String> {
    let system = system();
    let context = EditContext { system: &system, lookup: &TwoServers };
    let mut content = Configuration::default();
    let record = parse_record(text).expect("record");
    add(&mut content, kind, slot.map(VirtualSlot), &record, &context)
        .map(|()| content)
        .map_err(|refusal| refusal.to_string())
}

#[test]
fn adapters_are_added_as_profiles_state_them() {
    let none = |_| String::new();
    let content = added(
        AdapterKind::Ethernet,
        None,
        "port_vlan_id=7,ieee_virtual_eth=1,\"addl_vlan_ids=8,9\",is_trunk=1,trunk_priority=2,is_required=1",
    )
    .expect("added");
    assert_eq!(content.ethernet_adapters[0].print(&none), "2/1/7/8,9/2/1/ETHERNET0//all/none");
    let text = "adapter_type=client,remote_lpar_name=vios2,remote_slot_num=12";
    let content = added(AdapterKind::Scsi, Some(5), text).expect("added");
    assert_eq!(content.scsi_adapters[0].print(&none), "5/client/2//12/0");
    let content = added(AdapterKind::FibreChannel, Some(5), text).expect("added");
    assert_eq!(content.fibre_channel_adapters[0].print(&none), "5/client/2//12//0");
    let content = added(AdapterKind::Scsi, None, "adapter_type=server").expect("added");
    assert_eq!(content.scsi_adapters[0].print(&none), "2/server/any//any/0");
    let content = added(AdapterKind::Serial, None, "supports_hmc=1").expect("added");
    assert_eq!(content.serial_adapters[2].print(&none), "2/server/1/any//any/0");
}

#[test]
fn what_is_wrong_is_refused() {
    use AdapterKind::{Ethernet, FibreChannel, Scsi, Serial};
    for (kind, text, expected) in [
        (Ethernet, "ieee_virtual_eth=1", "missing attributes are port_vlan_id"),
        (Ethernet, "port_vlan_id=4095", "from 1 to 4094"),
        (Ethernet, "port_vlan_id=1,addl_vlan_ids=2", "IEEE 802.1Q"),
        (Ethernet, "port_vlan_id=1,ieee_virtual_eth=1,addl_vlan_ids=1", "given twice"),
        (Ethernet, "port_vlan_id=1,is_trunk=1", "missing attributes are trunk_priority"),
        (Ethernet, "port_vlan_id=1,trunk_priority=1", "needs is_trunk=1"),
        (Ethernet, "port_vlan_id=1,is_trunk=1,trunk_priority=16", "from 1 to 15"),
        (Ethernet, "port_vlan_id=1,vswitch=nosuch", "HSCL0562"),
        (Ethernet, "port_vlan_id=1,mac_addr=x", "mac_addr is not valid"),
        (Ethernet, "port_vlan_id=1,qos_priority=8", "0 to 7"),
        (Ethernet, "port_vlan_id=1,allowed_os_mac_addrs=x", "list of MAC addresses"),
        (Ethernet, "port_vlan_id=1,port_vlan_id=2", "repeated attribute"),
        (Ethernet, "port_vlan_id=1,adapter_type=client", "invalid attribute is adapter_type"),
        (Scsi, "remote_lpar_id=1", "missing attributes are adapter_type"),
        (Scsi, "adapter_type=client", "missing attributes are remote_lpar_id, remote_slot_num"),
        (Scsi, "adapter_type=client,remote_lpar_name=nosuch,remote_slot_num=3", "HSCL0566"),
        (Scsi, "adapter_type=client,remote_lpar_id=1,remote_lpar_name=vios2,remote_slot_num=3", "HSCL0567"),
        (Scsi, "adapter_type=client,remote_lpar_id=any,remote_slot_num=3", "names the partition"),
        (Scsi, "adapter_type=both", "client or server"),
        (FibreChannel, "adapter_type=server", "names its remote partition"),
        (FibreChannel, "adapter_type=client,remote_lpar_id=1,remote_slot_num=3,wwpns=c05", "pair"),
        (Serial, "port_vlan_id=1", "invalid attribute is port_vlan_id"),
    ] {
        let error = added(kind, None, text).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn vlans_are_added_and_removed() {
    let system = system();
    let context = EditContext { system: &system, lookup: &TwoServers };
    let mut content = added(AdapterKind::Ethernet, None, "port_vlan_id=1,ieee_virtual_eth=1,addl_vlan_ids=5")
        .expect("added");
    for (text, expected) in [
        ("addl_vlan_ids+=342", Some(vec![5, 342])),
        ("addl_vlan_ids+=342", None),
        ("addl_vlan_ids-=5", Some(vec![342])),
        ("addl_vlan_ids-=5", None),
        ("addl_vlan_ids=none", Some(vec![])),
    ] {
        let record = parse_record(text).expect("record");
        let mut copy = content.clone();
        let done = set_ethernet(&mut copy, "lpar1", VirtualSlot(2), &record, &context);
        assert_eq!(done.is_ok(), expected.is_some(), "{text}");
        if let Some(expected) = expected {
            content = copy;
            assert_eq!(content.ethernet_adapters[0].additional_vlan_ids, expected);
        }
    }
}

#[test]
fn removal_finds_the_slot_and_keeps_the_consoles_own() {
    let mut content = added(AdapterKind::Ethernet, Some(4), "port_vlan_id=1").expect("added");
    let refused = |content: &mut Configuration, kind, slot| {
        remove(content, "lpar1", kind, VirtualSlot(slot)).expect_err("refused").key
    };
    assert_eq!(refused(&mut content, None, 0), MessageKey::ConsoleAdapterFixed);
    assert_eq!(refused(&mut content, Some(AdapterKind::Scsi), 4), MessageKey::VirtualAdapterNotFound);
    assert_eq!(refused(&mut content, None, 5), MessageKey::VirtualAdapterNotFound);
    remove(&mut content, "lpar1", None, VirtualSlot(4)).expect("removed");
    assert!(content.ethernet_adapters.is_empty());
}

#[test]
fn the_next_free_slot_is_the_lowest_after_the_consoles() {
    let mut content = added(AdapterKind::Ethernet, Some(2), "port_vlan_id=1").expect("added");
    assert_eq!(next_free_slot(&content), Some(VirtualSlot(3)));
    content.maximum_virtual_slots = 3;
    assert_eq!(next_free_slot(&content), None);
}
