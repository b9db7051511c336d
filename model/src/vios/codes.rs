//! The texts of refusals of a Virtual I/O Server, each with its exit status: the part of the registry in
//! [`crate::codes`] that the server's commands use.
//!
//! `{0}`, `{1}` stand for arguments, `\n` for a new line. Exit statuses: the reference on VIOS commands, section 0.3.

use serde::{Deserialize, Serialize};

use crate::codes::Evidence;

/// One entry.
#[derive(Debug)]
pub struct ViosEntry {
    /// Exit status of the command.
    pub exit_status: u8,
    /// Text with `{0}`-like places for arguments.
    pub text: &'static str,
    /// How sure the text is.
    pub evidence: Evidence,
}

macro_rules! messages {
    ($($(#[$documentation:meta])* $name:ident: $status:literal, $text:literal, $evidence:ident;)+) => {
        /// Key of a refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ViosMessage { $($(#[$documentation])* $name),+ }

        impl ViosMessage {
            /// Every key, in the order of the registry.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The entry.
            #[must_use]
            pub fn entry(self) -> &'static ViosEntry {
                match self {
                    $(Self::$name => &ViosEntry {
                        exit_status: $status, text: $text, evidence: Evidence::$evidence,
                    }),+
                }
            }
        }
    };
}

messages! {
    // Command lines.
    /// An option that the command does not have.
    OptionUnknown: 1, "Option flag is not valid: {0}", Captured;
    /// An option without its value.
    OptionValueMissing: 1, "Option flag {0} requires an argument.", Unverified;
    /// An option that the command needs.
    OptionMissing: 1, "The command requires option {0}.", Unverified;
    /// An option given twice.
    OptionRepeated: 1, "Option flag {0} is repeated.", Unverified;
    /// Options that exclude each other.
    OptionsExclusive: 1, "Invalid combination of option flags: {0}.", Unverified;
    /// Something that is no option where none is taken.
    ArgumentUnexpected: 1, "Too many arguments: {0}", Unverified;
    /// A value of an option.
    ArgumentInvalid: 1, "Invalid argument: {0}", Unverified;
    /// A name of a column.
    FieldUnknown: 1, "Field name is not valid: {0}", Unverified;
    /// A delimiter that the command does not take.
    DelimiterInvalid: 1, "Invalid delimiter: {0}", Unverified;
    /// A command that this level does not have, though the real one may.
    NotSupported: 1, "{0} is not supported at this level.", Own;
    /// padmin may not do it.
    AccessDenied: 3, "Access to run command is not valid.", Unverified;
    /// The licence was not accepted.
    LicenceNotAccepted: 3, "The I/O Server license has not been accepted. Use the license command.", Unverified;

    // Devices.
    /// No such device.
    DeviceUnknown: 2, "Device \"{0}\" is not in the device configuration database.", Unverified;
    /// No device at a location.
    LocationUnknown: 10, "No device was found with the physical location code \"{0}\".", Unverified;
    /// Several devices at a location.
    LocationAmbiguous: 11, "There are too many matches for the physical location code \"{0}\".", Unverified;
    /// A name that a device has already.
    DeviceNameTaken: 4, "Device \"{0}\" already exists in the device configuration database.", Unverified;
    /// A name that is none.
    DeviceNameInvalid: 1, "\"{0}\" is not a valid device name.", Unverified;
    /// An attribute that the device does not have.
    AttributeUnknown: 1, "Attribute \"{1}\" of device \"{0}\" was not found.", Unverified;
    /// An attribute that may not be set.
    AttributeFixed: 1, "Method error (/usr/lib/methods/chggen):\n        0514-018 The values specified for the following attributes\n                 are not valid:\n     {1}", Unverified;
    /// A value that the attribute does not take.
    AttributeValueInvalid: 1, "Method error (/usr/lib/methods/chggen):\n        0514-018 The values specified for the following attributes\n                 are not valid:\n     {1}", Unverified;
    /// The device is in use.
    DeviceBusy: 4, "Method error ({1}):\n        0514-062 Cannot perform the requested function because the\n                 specified device is busy.\n     {0}", Captured;
    /// A device with devices below it.
    DeviceHasChildren: 4, "Method error (/usr/lib/methods/ucfgdevice):\n        0514-029 Cannot perform the requested function because a\n                 child device of the specified device is not in a correct state.\n     {0}", Unverified;
    /// A device that is not configured.
    DeviceNotAvailable: 4, "Device \"{0}\" is not in the Available state.", Unverified;
    /// A device that may never be removed.
    DeviceRequired: 4, "Device \"{0}\" cannot be removed: the Virtual I/O Server needs it.", Own;
    /// A device that does not show itself when it is configured.
    DeviceAbsent: 4, "Method error (/usr/lib/methods/cfggen -l {0} ):\n        0514-061 Cannot find a child device.", Unverified;
    /// Not a device that has this operation.
    DeviceWrongKind: 1, "\"{0}\" is not a valid device for this command.", Unverified;
    /// Not a server virtual SCSI adapter.
    NotScsiServer: 15, "The specified device \"{0}\" is not a server virtual SCSI adapter.", Unverified;
    /// Not a server virtual Ethernet adapter.
    NotEthernetServer: 16, "The specified device \"{0}\" is not a server virtual Ethernet adapter.", Unverified;
    /// Not a server virtual Fibre Channel adapter.
    NotFibreChannelServer: 63, "The specified device \"{0}\" is not a server virtual Fibre Channel adapter.", Unverified;
    /// Not a paging device.
    NotPagingDevice: 69, "The specified device \"{0}\" is not a paging virtual target device.", Unverified;
    /// Not a server virtual NIC.
    NotNicServer: 88, "The specified device \"{0}\" is not a server virtual NIC adapter.", Unverified;

    // Mappings.
    /// The backing device is mapped already.
    BackingInUse: 4, "\"{0}\" is already being used as a backing device.  Specify the -f flag\nto force this device to be used anyway.", Captured;
    /// The disk belongs to a volume group.
    DiskInVolumeGroup: 4, "\"{0}\" belongs to the volume group \"{1}\" and cannot be used as a backing device.", Unverified;
    /// What is to be mapped is nothing that can be.
    BackingInvalid: 1, "\"{0}\" cannot be used as a backing device.", Unverified;
    /// The adapter has no number left.
    TargetsExhausted: 4, "The server adapter \"{0}\" has no logical unit number left.", Unverified;
    /// The disk is reserved for someone else.
    ReservationConflict: 4, "Method error (/usr/lib/methods/cfg_vt_scdisk):\n        0514-047 Cannot access a device.\n     {0}", Unverified;
    /// No such virtual target device.
    TargetUnknown: 2, "The virtual target device \"{0}\" was not found.", Unverified;
    /// A backing device with several virtual target devices.
    SeveralTargets: 4, "\"{0}\" has more than one virtual target device. Specify the -f flag to remove all of them.", Unverified;
    /// The client uses the device.
    TargetBusy: 4, "Method error (/usr/lib/methods/ucfg_vt):\n        0514-062 Cannot perform the requested function because the\n                 specified device is busy.\n     {0}", Captured;

    // Fibre Channel.
    /// No port can do NPIV.
    NoNpivPorts: 62, "There are no ports that support NPIV.", Unverified;
    /// The port's fabric cannot do NPIV.
    PortWithoutNpiv: 4, "The Fibre Channel port \"{0}\" does not support NPIV.", Unverified;
    /// The port serves as many clients as it can.
    PortFull: 4, "The Fibre Channel port \"{0}\" has no virtual port left.", Unverified;
    /// The client is logged in through the adapter.
    PortBusy: 4, "Method error (/usr/lib/methods/chgvfchost):\n        0514-062 Cannot perform the requested function because the\n                 specified device is busy.\n     {0}", Unverified;

    // Paths.
    /// No such path.
    PathUnknown: 2, "No path of \"{0}\" through \"{1}\" was found.", Unverified;
    /// The last path that works.
    LastPath: 4, "The last enabled path of \"{0}\" cannot be disabled.", Unverified;

    // Volume groups and logical volumes.
    /// A disk that is in no volume group.
    NotInVolumeGroup: 4, "0516-066 : Physical volume is not a volume group member.\n        Check the physical volume name specified.", Seed;
    /// No such volume group.
    VolumeGroupUnknown: 2, "0516-306 : Unable to find volume group {0} in the Device\n        Configuration Database.", Unverified;
    /// The name is taken.
    VolumeGroupExists: 4, "0516-360 : The device name is already used; choose a different name.", Unverified;
    /// A disk that belongs to a volume group.
    DiskTaken: 4, "0516-1398 : The physical volume {0}, appears to belong to\nanother volume group. Use the force option to add this physical volume\nto a volume group.", Unverified;
    /// A disk that a volume group of this server has.
    DiskInActiveGroup: 4, "0516-029 : The Physical Volume is a member of a currently\n        varied on Volume Group and this cannot be overridden.", Unverified;
    /// No such disk.
    DiskUnknown: 2, "0516-306 : Unable to find physical volume {0} in the Device\n        Configuration Database.", Unverified;
    /// Not enough room.
    NoFreePartitions: 4, "0516-404 allocp: This system cannot fulfill the allocation request.\n        There are not enough free partitions or not enough physical volumes\n        to keep strictness and satisfy allocation requests.  The command\n        should be retried with different allocation characteristics.", Captured;
    /// No such logical volume.
    LogicalVolumeUnknown: 2, "0516-306 : Unable to find logical volume {0} in the Device\n        Configuration Database.", Unverified;
    /// A logical volume in use.
    LogicalVolumeOpen: 4, "0516-914 : Warning, all data belonging to logical volume {0}\n        cannot be destroyed: the logical volume is open.", Unverified;
    /// A disk with logical volumes on it.
    DiskNotEmpty: 4, "0516-016 : Cannot delete physical volume with allocated\n        partitions. Use either migratepv to move the partitions or\n        reducevg with the -d option to delete the partitions.", Unverified;
    /// The name of a logical volume that is too long or wrong.
    LogicalVolumeNameInvalid: 1, "0516-622 : Logical volume name \"{0}\" is invalid.", Unverified;
    /// The file system or the host's disk is full.
    NoSpace: 4, "0403-005 Cannot create the specified file: there is not enough space in the file system.", Unverified;
    /// Reading or writing a disk failed.
    DiskError: 4, "0516-062 : Unable to read or write logical volume manager\n        record. PV may be permanently corrupted. Run diagnostics", Captured;

    // Storage pools.
    /// No such pool.
    PoolUnknown: 23, "The specified storage pool, \"{0}\", is not a valid storage pool.", Unverified;
    /// A pool of that name.
    PoolExists: 4, "The storage pool \"{0}\" already exists.", Unverified;
    /// Something in it.
    PoolNotEmpty: 4, "The storage pool \"{0}\" contains backing devices. Specify the -f flag to remove them.", Unverified;
    /// The wrong kind of pool.
    PoolWrongKind: 23, "The storage pool \"{0}\" is not of the kind that this operation needs.", Unverified;
    /// Not in this pool.
    BackingNotInPool: 39, "The backing device \"{0}\" is not in the storage pool \"{1}\".", Unverified;
    /// A backing device of that name.
    BackingExists: 4, "The backing device \"{0}\" already exists.", Unverified;
    /// A name that is too long.
    BackingNameTooLong: 40, "File backing device names cannot exceed 38 characters in length.", Captured;

    // Media.
    /// There is no repository.
    NoRepository: 4, "The DVD repository has not been created yet.", Captured;
    /// There is one.
    RepositoryExists: 4, "The virtual media repository already exists.", Unverified;
    /// It holds media.
    RepositoryNotEmpty: 4, "The virtual media repository contains media files. Specify the -f flag to remove it.", Unverified;
    /// It has too little room.
    RepositoryFull: 4, "There is not enough free space in the virtual media repository.", Unverified;
    /// No such medium.
    MediumUnknown: 2, "The specified media file \"{0}\" was not found in the virtual media repository.", Unverified;
    /// A medium of that name.
    MediumExists: 4, "The media file \"{0}\" already exists in the virtual media repository.", Unverified;
    /// A name that is too long or wrong.
    MediumNameInvalid: 1, "\"{0}\" is not a valid media file name.", Unverified;
    /// The medium is in a drive.
    MediumLoaded: 4, "The media file \"{0}\" is loaded in \"{1}\". Unload it first, or specify the -f flag.", Unverified;
    /// Another medium is in the drive.
    DriveLoaded: 4, "The device \"{0}\" has media loaded. Specify the -f flag to unload it first.", Unverified;
    /// No medium is in the drive.
    DriveEmpty: 4, "The device \"{0}\" has no media loaded.", Unverified;
    /// Not a drive of file-backed media.
    NotOpticalTarget: 1, "\"{0}\" is not a file-backed virtual optical device.", Unverified;
    /// The client holds the drive.
    DriveHeld: 4, "Unable to perform the requested operation: the client holds \"{0}\". Specify the -release flag to force it.", Unverified;
    /// A source that cannot be read.
    FileUnreadable: 2, "{0}: A file or directory in the path name does not exist.", Unverified;

    // Network.
    /// Not an Ethernet device, or not one that can be used so.
    EthernetInvalid: 1, "\"{0}\" cannot be used here: {1}.", Unverified;
    /// A device of another kind.
    NotBridge: 1, "\"{0}\" is not a Shared Ethernet Adapter.", Unverified;
    /// A device of another kind.
    NotAggregation: 1, "\"{0}\" is not a link aggregation adapter.", Unverified;
    /// A device of another kind.
    NotVlanDevice: 1, "\"{0}\" is not a VLAN adapter.", Unverified;
    /// The adapter belongs to another device.
    AdapterOwned: 4, "Adapter \"{0}\" is in use by \"{1}\".", Unverified;
    /// The device is in use.
    EthernetBusy: 4, "Method error (/usr/lib/methods/ucfgcommo):\n        0514-062 Cannot perform the requested function because the\n                 specified device is busy.\n", Captured;
    /// The adapter's interface is configured.
    AdapterHasAddress: 4, "Adapter \"{0}\" is in use: its interface \"{1}\" is configured. Remove it with rmtcpip first.", Unverified;
    /// A virtual adapter that is no trunk.
    NotTrunk: 4, "Adapter \"{0}\" is not a trunk adapter and cannot be bridged.", Unverified;
    /// A logical port without promiscuous mode.
    NotPromiscuous: 4, "Method error (/usr/lib/methods/cfgsea):\nFailed to configure SEA with return code 1 and SEA-specific error code 10:\nDetailed info: Setting real adapter {0} in promiscuous mode failed with error 1", Captured;
    /// The default adapter is none of the list.
    DefaultNotBridged: 1, "The default adapter \"{0}\" is not in the list of virtual adapters.", Unverified;
    /// The default VLAN is not that of the default adapter.
    DefaultVlanDiffers: 4, "The default ID {0} is not the PVID of the default adapter \"{1}\", which is {2}.", Unverified;
    /// Trunk adapters of different priorities.
    TrunkPrioritiesDiffer: 4, "The virtual adapters must have the same trunk priority: \"{0}\" has {1}, \"{2}\" has {3}.", Unverified;
    /// A VLAN on two trunk adapters of one virtual switch.
    VlanBridgedTwice: 4, "VLAN {0} of virtual switch {1} is on \"{2}\" and \"{3}\".", Unverified;
    /// `ha_mode` without `ctl_chan` at an early level.
    ControlChannelNeeded: 1, "The ha_mode attribute requires the ctl_chan attribute at this level.", Unverified;
    /// `ctl_chan` without `ha_mode`.
    ModeNeeded: 1, "The ctl_chan attribute requires the ha_mode attribute to be auto, sharing or standby.", Unverified;
    /// An adapter that cannot be the control channel.
    ControlChannelInvalid: 4, "Adapter \"{0}\" cannot be the control channel: {1}.", Unverified;
    /// Load sharing with one trunk adapter.
    SharingNeedsTrunks: 4, "The ha_mode sharing requires two or more virtual adapters.", Unverified;
    /// Too few or too many links.
    LinksInvalid: 1, "A link aggregation has 1 to 8 primary adapters and at most 8 backup adapters.", Unverified;
    /// A VLAN that is none.
    VlanInvalid: 1, "\"{0}\" is not a valid VLAN ID. Valid IDs are 1 to 4094.", Unverified;
    /// The device has that VLAN already.
    VlanTaken: 4, "VLAN {0} of adapter \"{1}\" is in use by \"{2}\".", Unverified;
    /// No such interface.
    InterfaceUnknown: 2, "Interface \"{0}\" was not found.", Unverified;
    /// An address that is none, or not one of a host.
    AddressInvalid: 1, "\"{0}\" is not a valid Internet address.", Unverified;
    /// A mask that is none.
    NetmaskInvalid: 1, "\"{0}\" is not a valid subnet mask.", Unverified;
    /// Another interface has the address.
    AddressTaken: 4, "Address {0} is in use by interface \"{1}\".", Unverified;
    /// The interface has no address.
    InterfaceNotConfigured: 4, "Interface \"{0}\" is not configured.", Unverified;
    /// A gateway that no interface reaches.
    GatewayUnreachable: 4, "0821-279 writing to routing socket: The network is not currently available.\ndefault net {0}: A route to the remote host is not available.", Unverified;
    /// The route exists.
    RouteExists: 4, "The route {0} gateway {1} exists already.", Unverified;
    /// No such route.
    RouteUnknown: 2, "The route {0} gateway {1} was not found.", Unverified;
    /// No such entry.
    HostUnknown: 2, "Address {0} is not in the host table.", Unverified;
    /// No such name server or domain.
    NameServiceUnknown: 2, "\"{0}\" is not in the name service configuration.", Unverified;
    /// A name that is none.
    HostNameInvalid: 1, "\"{0}\" is not a valid host name.", Unverified;
    /// Too many of something.
    TooMany: 1, "There may be at most {0} {1}.", Unverified;
    /// The accounting of a Shared Ethernet Adapter is off.
    AccountingOff: 4, "Accounting is not enabled for device \"{0}\".", Unverified;
    /// A device that keeps no counters.
    NoStatistics: 4, "Unable to open device {0}, errno = 19", Unverified;

    // The server itself.
    /// An update bundle that is none.
    BundleInvalid: 4, "The update in \"{0}\" cannot be installed: {1}.", Own;
    /// An update that is not newer.
    BundleNotNewer: 4, "The system is already at level {0}.", Own;
    /// The server stops.
    ShuttingDown: 4, "The Virtual I/O Server is shutting down.", Own;
    /// The host of the server refused.
    HostFailed: 4, "The host of this Virtual I/O Server failed: {0}.", Own;
}

impl ViosMessage {
    /// Exit status of a command that is refused so.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        self.entry().exit_status
    }

    /// The text with its arguments filled in.
    #[must_use]
    pub fn render(self, arguments: &[String]) -> String {
        crate::codes::fill(self.entry().text, arguments)
    }
}
