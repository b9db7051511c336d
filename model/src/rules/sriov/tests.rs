use super::super::tests_support::{TwoServers, apply_text, system};
use super::*;

fn completed(texts: &[&str]) -> Result<Configuration, String> {
    let mut system = system();
    std::sync::Arc::make_mut(&mut system.hardware).firmware = "01SV860_056".parse().expect("level");
    let mut content = Configuration::default();
    for text in texts {
        apply_text(&mut content, text)?;
    }
    check(&content, &system).map_err(|refusal| refusal.to_string())?;
    complete(&mut content, None, &system, &TwoServers).map_err(|refusal| refusal.to_string())?;
    Ok(content)
}

const PORT: &str = "sriov_eth_logical_ports=adapter_id=1:phys_port_id=0";

#[test]
fn ports_are_numbered_by_adapter_from_the_lowest_free_one() {
    let content = completed(&[
        PORT,
        "sriov_eth_logical_ports+=config_id=7:adapter_id=1:phys_port_id=1:logical_port_id=27004003",
        "vnic_adapters=\"slot_num=6:backing_devices=sriov/vios1//1/1/2.0/10\"",
    ])
    .expect("completed");
    let ids: Vec<String> = logical_port_ids(&content).map(|id| id.to_string()).collect();
    assert_eq!(ids, ["27004001", "27004003", "27004002"]);
    assert_eq!(content.ethernet_logical_ports[0].configuration_id, Some(0));
    assert_eq!(content.ethernet_logical_ports[0].capacity, Some(Capacity(200)));
    let slots: Vec<_> = server_slots(&content).collect();
    assert_eq!(slots, [(PartitionId(1), VirtualSlot(32_897))]);
}

#[test]
fn numbers_and_slots_stay_with_what_had_them() {
    let first =
        completed(&["vnic_adapters=\"\"\"slot_num=6:backing_devices=sriov/vios1//1/1/2.0/10\"\"\"", PORT])
            .expect("first");
    let mut again = first.clone();
    for device in &mut again.virtual_nics[0].backing_devices {
        (device.logical_port, device.server_slot) = (None, None);
    }
    again.ethernet_logical_ports[0].id = None;
    let mut system = system();
    std::sync::Arc::make_mut(&mut system.hardware).firmware = "01SV860_056".parse().expect("level");
    complete(&mut again, Some(&first), &system, &TwoServers).expect("completed");
    assert_eq!(first, again);
}

#[test]
fn what_does_not_fit_is_refused_with_its_code() {
    let port = |rest: &str| format!("sriov_eth_logical_ports=adapter_id=1:phys_port_id=0{rest}");
    let nic = |devices: &str| format!("\"vnic_adapters=\"\"slot_num=6:backing_devices={devices}\"\"\"");
    let many = (0..7).map(|n| format!("sriov/vios1//{}/{}", n / 2 + 1, n % 2)).collect::<Vec<_>>().join(",");
    for (text, expected) in [
        (port(":capacity=7.5"), "HSCL1294 The capacity specified for the logical port with configuration ID 0 is 7.5. This is not a multiple of the capacity granularity of the specified protocol of this physical port which is 2.0."),
        (port(":capacity=1.0"), "HSCL1295"),
        (port(":capacity=102.0"), "HSCL1295"),
        (port(":capacity=50.0:max_capacity=40.0"), "HSCL1295"),
        (port(":logical_port_id=27004007"), "HSCL1286"),
        (port(":logical_port_id=27008001"), "HSCL1286"),
        ("sriov_eth_logical_ports=adapter_id=1:phys_port_id=2".to_owned(), "HSCL1281"),
        ("sriov_eth_logical_ports=adapter_id=2:phys_port_id=0".to_owned(), "HSCL1282"),
        ("sriov_eth_logical_ports=adapter_id=3:phys_port_id=0".to_owned(), "HSCL1280"),
        ("sriov_roce_logical_ports=adapter_id=1:phys_port_id=0".to_owned(), "HSCL128B"),
        ("\"sriov_eth_logical_ports=adapter_id=1:phys_port_id=0:capacity=60.0,config_id=1:adapter_id=1:phys_port_id=0:capacity=42.0\"".to_owned(), "HSCL1293"),
        ("\"sriov_eth_logical_ports=adapter_id=1:phys_port_id=0:promisc_mode=1,config_id=1:adapter_id=1:phys_port_id=0:promisc_mode=1\"".to_owned(), "HSCL1257"),
        (nic("sriov/vios3//1/0"), "HSCL0566"),
        (nic("sriov/vios1/2/1/0"), "HSCL0567"),
        (nic("sriov/vios1//1/0,sriov/vios2//1/0"), "HSCL12A3"),
        (nic(&many), "HSCL12A2"),
        (nic("sriov/vios1//1/0/3.0"), "HSCL1294 The capacity specified for the logical port with configuration ID 16384"),
    ] {
        let error = completed(&[&text]).expect_err(&text);
        assert!(error.contains(expected), "{text}: {error}");
    }
    let five =
        (0..5).map(|n| format!("config_id={n}:adapter_id=1:phys_port_id=0")).collect::<Vec<_>>().join(",");
    let error = completed(&[&format!("\"sriov_eth_logical_ports={five}\"")]).expect_err("five");
    assert!(error.starts_with("HSCL128A"), "{error}");
}

#[test]
fn levels_gate_virtual_nics() {
    let mut system = system();
    let mut content = Configuration::default();
    apply_text(&mut content, "vnic_adapters=slot_num=6:backing_devices=sriov/vios1//1/0").expect("applied");
    for (level, devices, code) in [
        ("01SV830_048", 1, Some("HSCL12A0")),
        ("01SV840_056", 1, None),
        ("01SV840_056", 2, Some("HSCL12A1")),
        ("01SV860_056", 2, None),
    ] {
        std::sync::Arc::make_mut(&mut system.hardware).firmware = level.parse().expect("level");
        let mut content = content.clone();
        if devices == 2 {
            let mut second = content.virtual_nics[0].backing_devices[0].clone();
            second.physical_port = PhysicalPortId(1);
            content.virtual_nics[0].backing_devices.push(second);
        }
        let refused = check(&content, &system).err().map(|refusal| refusal.to_string());
        assert_eq!(refused.as_deref().map(|text| &text[..8]), code, "{level} {devices}: {refused:?}");
    }
}
