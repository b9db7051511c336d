//! Virtual SCSI and Fibre Channel mappings of a Virtual I/O Server: its server adapters with what is at their other ends.

use varan_model::adapters::{AdapterSide, VirtualFibreChannelAdapter, VirtualScsiAdapter};

use super::adapter::{
    Adapter, AdapterView, FIBRE_CHANNEL_CLIENT_END, FIBRE_CHANNEL_SERVER, SCSI_END, SCSI_SERVER,
};
use super::{Hosted, Object};
use crate::element::{Element, Outline, objects, outline_inner, reference, write, write_inner};
use crate::query::Groups;
use crate::xml::XmlWriter;

/// A server adapter with what is at its other end.
struct Mapping<A> {
    server: AdapterView<A>,
    client: Option<AdapterView<A>>,
}

impl<A: Adapter> Mapping<A> {
    fn client_partition(&self) -> Option<String> {
        self.server.connecting_partition()
    }
}

macro_rules! mapping {
    ($client:ident, $server:ident) => {
        &[
            reference("AssociatedLogicalPartition", "CUR", Mapping::client_partition),
            objects(
                "ClientAdapter",
                "CUR",
                |mapping: &Mapping<_>, writer, groups| {
                    if let Some(client) = &mapping.client {
                        write($client, client, groups, writer);
                    }
                },
                |prefix, found| crate::element::outline($client, prefix, found),
            )
            .present(|mapping| mapping.client.is_some()),
            objects(
                "ServerAdapter",
                "CUR",
                |mapping, writer, groups| write($server, &mapping.server, groups, writer),
                |prefix, found| crate::element::outline($server, prefix, found),
            ),
        ]
    };
}

static SCSI_MAPPING: &[Element<Mapping<VirtualScsiAdapter>>] = mapping!(SCSI_END, SCSI_SERVER);
static FIBRE_CHANNEL_MAPPING: &[Element<Mapping<VirtualFibreChannelAdapter>>] =
    mapping!(FIBRE_CHANNEL_CLIENT_END, FIBRE_CHANNEL_SERVER);

fn write_mappings<A: Adapter>(
    name: &str,
    table: &[Element<Mapping<A>>],
    hosted: &Hosted,
    groups: Groups,
    writer: &mut XmlWriter,
) {
    let Some(content) = &hosted.entry.partition.current else { return };
    let serves = |one: &&A| one.pairing().is_some_and(|(side, ..)| side == AdapterSide::Server);
    for adapter in A::all(content).iter().filter(serves) {
        let server = AdapterView { hosted: hosted.clone(), adapter: adapter.clone() };
        let client = server.counterpart();
        write_inner(name, table, &Mapping { server, client }, groups, writer);
    }
}

/// What the mappings of a server say of its clients: it changes when they do, without a change of the server's own.
pub fn clients_version(hosted: &Hosted) -> String {
    fn of<A: Adapter>(hosted: &Hosted, versions: &mut String) {
        let content = hosted.entry.partition.current.iter();
        for adapter in content.flat_map(|content| A::all(content)) {
            if matches!(adapter.pairing(), Some((AdapterSide::Server, ..))) {
                let view = AdapterView { hosted: hosted.clone(), adapter: adapter.clone() };
                versions.push_str(&view.version());
            }
        }
    }
    let mut versions = String::new();
    of::<VirtualScsiAdapter>(hosted, &mut versions);
    of::<VirtualFibreChannelAdapter>(hosted, &mut versions);
    versions
}

/// Writes the virtual SCSI mappings of a Virtual I/O Server: one for each of its server adapters.
pub fn write_scsi_mappings(hosted: &Hosted, writer: &mut XmlWriter, groups: Groups) {
    write_mappings("VirtualSCSIMapping", SCSI_MAPPING, hosted, groups, writer);
}

/// What [`write_scsi_mappings`] writes.
pub fn outline_scsi_mappings(prefix: &str, found: &mut Vec<Outline>) {
    outline_inner("VirtualSCSIMapping", SCSI_MAPPING, prefix, found);
}

/// Writes the virtual Fibre Channel mappings of a Virtual I/O Server.
pub fn write_fibre_channel_mappings(hosted: &Hosted, writer: &mut XmlWriter, groups: Groups) {
    write_mappings("VirtualFibreChannelMapping", FIBRE_CHANNEL_MAPPING, hosted, groups, writer);
}

/// What [`write_fibre_channel_mappings`] writes.
pub fn outline_fibre_channel_mappings(prefix: &str, found: &mut Vec<Outline>) {
    outline_inner("VirtualFibreChannelMapping", FIBRE_CHANNEL_MAPPING, prefix, found);
}
