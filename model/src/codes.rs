//! The one registry of texts that a user sees when something is refused, each with its code where the field has one.
//!
//! `{0}`, `{1}` stand for arguments. `Evidence` says how sure the wording is: a seed or a live capture shows it, or the
//! code is known and the wording is ours. `varan inspect unverified` lists the latter.

use serde::{Deserialize, Serialize};

/// Where a text or a fact comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Shown in a seed document.
    Seed,
    /// Captured from a real console, or quoted in its documentation.
    Captured,
    /// The code or name is known, the wording or detail is ours.
    Unverified,
    /// Of this platform alone.
    Own,
}

/// One entry of the registry.
#[derive(Debug)]
pub struct Message {
    /// Code such as `HSCL8012`; empty where the console prints none.
    pub code: &'static str,
    /// Text with `{0}`-like places for arguments.
    pub text: &'static str,
    /// How sure the text is.
    pub evidence: Evidence,
    /// What to do about it, for the documentation.
    pub advice: &'static str,
}

macro_rules! messages {
    ($($(#[$documentation:meta])* $name:ident: $code:literal, $text:literal, $evidence:ident, $advice:literal;)+) => {
        /// Key of a message in the registry.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum MessageKey { $($(#[$documentation])* $name),+ }

        impl MessageKey {
            /// Every key, in registry order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The entry.
            #[must_use]
            pub fn message(self) -> &'static Message {
                match self {
                    $(Self::$name => &Message {
                        code: $code, text: $text, evidence: Evidence::$evidence, advice: $advice,
                    }),+
                }
            }
        }
    };
}

messages! {
    /// A required option is missing or an option's value is wrong.
    ParameterInvalid: "", "The command entered is either missing a required parameter or a parameter value is invalid. The parameters that are missing or have an invalid value are {0}. Please check your entry and retry the command.", Captured, "Run the command with --help.";
    /// An option that the command does not have.
    ParameterUnknown: "", "An invalid parameter was entered. The invalid parameter is {0}. Please check your entry and retry the command.", Unverified, "Run the command with --help.";
    /// An option given twice.
    ParameterRepeated: "", "A parameter was entered more than once. The repeated parameter is {0}. Please check your entry and retry the command.", Unverified, "Give the option once.";
    /// Options that exclude each other.
    ParametersExclusive: "", "The parameters {0} cannot be specified together. Please check your entry and retry the command.", Unverified, "Give one of them.";
    /// An attribute that does not exist, or may not be set here.
    AttributeInvalid: "", "An invalid attribute was entered.  The invalid attribute is {0}.  Please check your entry and retry the command.", Captured, "List the attributes with --help or -F --header.";
    /// An attribute value out of its range or set.
    AttributeValueInvalid: "", "The value {1} for attribute {0} is not valid: {2}.  Please check your entry and retry the command.", Unverified, "The text names what is allowed.";
    /// Attributes that the command needs.
    AttributesMissing: "", "One or more required attributes are missing.  The missing attributes are {0}.  Please check your entry and retry the command.", Unverified, "Add them to the configuration data.";
    /// An attribute given twice in one record.
    AttributeRepeated: "", "An attribute was entered more than once.  The repeated attribute is {0}.  Please check your entry and retry the command.", Unverified, "Give the attribute once.";
    /// A record that is not of the grammar.
    RecordInvalid: "", "The format of the configuration data is invalid.  {0}.  Please check your entry and retry the command.", Unverified, "A record is name=value pairs with commas between; a value with commas is quoted.";
    /// A filter that does not exist for the resource.
    FilterInvalid: "", "An invalid filter was entered.  The invalid filter is {0}.  Please check your entry and retry the command.", Unverified, "The --help text lists the filters.";
    /// A file given with -f that cannot be read.
    FileUnreadable: "", "The file {0} cannot be read: {1}.", Own, "Copy the file into the home directory first.";
    /// A command line sent over SSH that is too long or no text.
    CommandLineUnusable: "", "The command line cannot be run: {0}.", Own, "Put long data in a file and give it with -f.";
    /// A command or option that a later level brings.
    NotSupportedAtThisLevel: "", "{0} is not supported at this level.", Own, "See CHANGELOG.md for what each level brings.";
    /// No such managed system.
    SystemNotFound: "HSCL8003", "The managed system {0} was not found.  Please check your entry and retry the command.", Unverified, "List the systems with lssyscfg -r sys -F name.";
    /// Several systems have the name.
    SystemAmbiguous: "HSCL8004", "More than one managed system has the name {0}.  Use the type, model and serial number (tttt-mmm*sssssss) instead.", Unverified, "Use the second form of -m.";
    /// The console has no connection to the system.
    SystemNoConnection: "HSCL0001", "The management console has no connection to managed system {0}.", Unverified, "Check the system with lssyscfg -r sys -F name,state.";
    /// The console's password of the service processor is wrong.
    AccessFailed: "", "The management console cannot authenticate with managed system {0}.  The password of the service processor is not the one that the console knows.", Unverified, "Give the console the password with chsyspwd -t access -m system --passwd.";
    /// The service processor's password has not been set.
    AccessPending: "", "The passwords of managed system {0} have not been set.", Unverified, "Set them with chsyspwd -t access -m system --newpasswd.";
    /// A wrong password was given to change the service processor's.
    AccessPasswordWrong: "", "The current password of managed system {0} is not the one that was entered.", Unverified, "Ask whoever changed the password.";
    /// A connection that there is already.
    ConnectionExists: "", "The management console has a connection to the address {0} already.", Unverified, "List the connections with lssysconn -r all.";
    /// No such connection.
    ConnectionNotFound: "", "The management console has no connection named {0}.  Please check your entry and retry the command.", Unverified, "List the connections with lssysconn -r all.";
    /// Too many connections that nobody answers.
    ConnectionsExhausted: "", "The management console has {0} connections to addresses at which no managed system is, and takes no more.", Own, "Remove some with rmsysconn -o remove --ip.";
    /// The operation needs the system in Operating state.
    SystemNotOperating: "HSCL0238", "This operation is only allowed when the managed system is in the Operating state.", Unverified, "Power the system on first.";
    /// The operation needs the system powered off.
    SystemNotPoweredOff: "HSCL0237", "This operation is only allowed when the managed system is in the Power Off state.", Unverified, "Power the system off first.";
    /// Two operations on one noun at a time.
    Locked: "HSCL0405", "The operation cannot be performed because another operation is in progress on {0}.  Retry the command later.", Unverified, "Wait for the other operation.";
    /// Nothing to be removed by `rmlock`.
    LockNotFound: "", "No operation holds a lock on {0}.", Unverified, "List the locks with lslock.";
    /// The lock of a firmware update.
    LockOfFirmware: "", "The lock on managed system {0} is held by an update of its Licensed Internal Code, which cannot be interrupted.", Unverified, "Wait for the update.";
    /// The guest cannot be asked to undo what it is doing.
    LockHolderSilent: "", "The lock on partition {0} cannot be removed while its operating system does not answer.", Own, "Shut the partition down.";
    /// Somebody removed the lock of the operation.
    LockRemoved: "", "The operation was ended and undone, because its lock was removed with the rmlock command.", Unverified, "Ask whoever removed the lock.";
    /// No such partition.
    PartitionNotFound: "HSCL8012", "The partition named {0} was not found.  Please check your entry and retry the command.", Captured, "List the partitions with lssyscfg -r lpar.";
    /// No partition of that number.
    PartitionIdNotFound: "HSCL8013", "The partition with ID {0} was not found.  Please check your entry and retry the command.", Unverified, "List the partitions with lssyscfg -r lpar.";
    /// No such profile.
    ProfileNotFound: "HSCL800F", "The partition profile named {0} was not found.  Please check your entry and retry the command.", Captured, "List the profiles with lssyscfg -r prof.";
    /// Name taken by another partition.
    PartitionNameUsed: "HSCL05DE", "The partition name {0} is already used by another partition of the managed system.", Unverified, "Choose another name.";
    /// Number taken by another partition.
    PartitionIdUsed: "HSCL05DC", "The partition ID {0} is already used by another partition of the managed system.", Unverified, "Choose another ID or leave it out.";
    /// Profile name taken.
    ProfileNameUsed: "HSCL05DD", "The partition profile name {0} is already used by another profile of the partition.", Unverified, "Choose another name or use --force with -o save.";
    /// All partition numbers are in use.
    PartitionsExhausted: "HSCL05DB", "The managed system supports {0} partitions, and all of them are defined.", Unverified, "Remove a partition.";
    /// A name that is too long or has characters that names do not have.
    NameInvalid: "HSCL05D9", "The name {0} is not valid: {1}.", Unverified, "Names have 1 to 31 printable characters.";
    /// The partition must be off.
    NotActivatedRequired: "HSCL05EA", "The partition must be in the Not Activated state to perform this operation.", Captured, "Shut the partition down first.";
    /// The partition's state does not allow the operation.
    StateNotAllowed: "HSCL05DF", "The partition is not in a state under which this operation can be performed. Check the state of the partition.", Captured, "Check lssyscfg -r lpar -F name,state.";
    /// Shut down of a partition that is off.
    AlreadyOff: "HSCL1558", "The operation is unavailable in the current partition state.  The partition is already shut down.", Unverified, "Nothing to do.";
    /// No operating system to ask.
    OperatingSystemShutdownUnavailable: "HSCL0DB4", "The operating system shutdown cannot be performed because the operating system is not running or has no RMC connection to the management console.", Unverified, "Use -o shutdown --immed, or check rmc_state.";
    /// Never applied or activated.
    NoCurrentConfiguration: "HSCL3680", "The partition cannot be activated with its current configuration because it has none.  Activate the partition with a partition profile.", Unverified, "Use -f with the name of a profile.";
    /// The last profile of a partition.
    LastProfile: "HSCL05E2", "The partition profile named {0} is the default profile of the partition and cannot be removed.", Unverified, "Make another profile the default first.";
    /// Remote restart capability of a partition that is not shut down.
    RemoteRestartNeedsShutdown: "HSCLA9F8", "The remote restart capability of the partition can only be changed when the partition is shutdown.", Seed, "Shut the partition down first.";
    /// Remote restart capability on POWER7. The seed shows it without a code.
    RemoteRestartFixed: "", "The managed system does not support changing the remote restart capability of a partition. You must delete the partition and recreate it with the desired remote restart capability.", Seed, "Create the partition anew.";
    /// The machine lacks simplified remote restart.
    SimplifiedRemoteRestartUnsupported: "HSCLA9F6", "The managed system does not support PowerVM Simplified Partition Remote Restart.", Unverified, "Update the firmware.";
    /// The machine lacks remote restart.
    RemoteRestartUnsupported: "HSCLA9F7", "The managed system does not support partition remote restart.", Unverified, "Use another managed system.";
    /// The machine lacks suspend and resume.
    SuspendUnsupported: "HSCLA4A0", "The operation failed because the managed system does not support Active Memory Sharing or partition suspend and resume operations.", Captured, "Use another managed system.";
    /// The machine has no resource groups.
    ResourceGroupsUnsupported: "HSCLCA00", "The managed system does not support multiple resource groups.", Captured, "Use another managed system.";
    /// Remote restart forbids physical I/O.
    RemoteRestartPhysicalIo: "HSCLA9F5", "A partition that is capable of remote restart cannot have physical I/O slots.", Unverified, "Remove the slots from the profile.";
    /// Minimum, desired and maximum are not in order.
    RangeOrder: "HSCL0554", "The values {0} are not in order: minimum {1}, desired {2}, maximum {3}.", Unverified, "Minimum <= desired <= maximum.";
    /// Memory is not in whole memory blocks.
    MemoryNotMultiple: "HSCL0550", "The memory quantity {0} is not a multiple of the logical memory block size {1}.", Unverified, "Use a multiple of the block size in MB.";
    /// More memory than the machine can give.
    MemoryTooSmall: "HSCL0551", "The memory quantity {0} is below the smallest quantity {1} that a partition can have.", Unverified, "Ask for at least one memory block.";
    /// Too few units for the virtual processors.
    UnitsTooFew: "HSCL0556", "{0} processing units are too few for {1} virtual processors; each needs at least {2}.", Unverified, "Raise the units or lower the processors.";
    /// Too many units for the virtual processors.
    UnitsTooMany: "HSCL0557", "{0} processing units need at least {1} virtual processors, not {2}.", Unverified, "Raise the processors or lower the units.";
    /// Sharing mode and processor mode differ.
    SharingModeMismatch: "HSCL0558", "The sharing mode {0} does not go with the processor mode {1}.", Unverified, "ded: keep_idle_procs...; shared: cap or uncap.";
    /// A slot number not below the maximum.
    VirtualSlotTooHigh: "HSCL0560", "Virtual slot {0} is not below the maximum number of virtual slots, {1}.", Unverified, "Raise max_virtual_slots.";
    /// Two adapters in one slot.
    VirtualSlotUsed: "HSCL0561", "Virtual slot {0} is used by more than one virtual adapter.", Unverified, "Give each adapter a slot of its own.";
    /// No such virtual switch.
    VirtualSwitchNotFound: "HSCL0562", "The virtual switch {0} was not found.", Unverified, "List them with lshwres -r virtualio --rsubtype vswitch.";
    /// No such physical slot.
    PhysicalSlotNotFound: "HSCL0563", "The I/O slot with DRC index {0} was not found.", Unverified, "List them with lshwres -r io --rsubtype slot.";
    /// A MAC address of another definition.
    MacAddressUsed: "HSCL0564", "The MAC address {0} is already used.", Unverified, "Leave it out to have one generated.";
    /// A WWPN of another definition.
    PortNameUsed: "HSCL0565", "The world-wide port name {0} is already used.", Unverified, "Leave it out to have a pair generated.";
    /// A remote partition that does not exist.
    RemotePartitionNotFound: "HSCL0566", "The remote partition {0} of the adapter in virtual slot {1} was not found.", Unverified, "Give the ID of a partition that will exist, or a name that does.";
    /// Remote name and number disagree.
    RemotePartitionMismatch: "HSCL0567", "The remote partition ID {0} and the remote partition name {1} are not of the same partition.", Unverified, "Give one of them.";
    /// An element that += adds is there already.
    ElementPresent: "HSCL0568", "{0} already has an element in the place of {1}.", Unverified, "Remove it first.";
    /// An element that -= removes is not there.
    ElementAbsent: "HSCL0569", "{0} has no element {1}.", Unverified, "List the profile first.";
    /// A processor compatibility mode that the machine does not have.
    CompatibilityModeUnsupported: "HSCL056A", "The processor compatibility mode {0} is not supported by the managed system.", Unverified, "See lpar_proc_compat_modes of lssyscfg -r sys.";
    /// Not enough memory at activation.
    NotEnoughMemory: "HSCL03EC", "There is not enough memory: Obtained: {0}, Required: {1}. Check that there is enough memory available to activate the partition.", Unverified, "Free memory, or lower min_mem.";
    /// Not enough processors at activation.
    NotEnoughProcessors: "HSCL03F4", "There are not enough processors: Obtained: {0}, Required: {1}. Check that there are enough processors available to activate the partition.", Unverified, "Free processors, or lower the minimum.";
    /// Shared memory with something that it excludes.
    SharedMemoryInvalid: "", "A partition that uses shared memory {0}.", Unverified, "Change the profile, or use mem_mode=ded.";
    /// Shared memory without a pool.
    NoSharedMemoryPool: "", "The partition cannot be activated because its profile uses shared memory and the managed system does not have a shared memory pool.", Unverified, "Use mem_mode=ded.";
    /// A shared memory pool that is not there.
    SharedMemoryPoolAbsent: "", "The managed system does not have a shared memory pool.", Unverified, "Partitions of this system have memory of their own.";
    /// A kind of hardware that the machine cannot have.
    HardwareUnsupported: "", "The managed system does not support {0}.", Unverified, "Use another managed system.";
    /// An attribute of IBM i partitions for another partition.
    IbmIOnly: "", "The attribute {0} is valid for IBM i partitions only.", Unverified, "Leave it out, or set it to its default.";
    /// A slot of which nothing is left to clear.
    PhysicalSlotPresent: "", "The I/O slot with DRC index {0} cannot be cleared because its hardware is present.", Unverified, "Only what is left of removed hardware is cleared.";
    /// A required I/O slot is in use.
    PhysicalSlotInUse: "HSCL03F6", "The required I/O slot with DRC index {0} is in use by partition {1}.", Unverified, "Shut that partition down or make the slot not required.";
    /// A fault on purpose that is not possible.
    FaultRefused: "", "The fault was not injected: {0}.", Own, "See the reason given.";
    /// The host cannot start a partition.
    HostRefused: "HSCL03F9", "The partition cannot be started on this host: {0}.", Own, "See the reason given.";
    /// No SR-IOV adapter of that number in shared mode, or in that slot.
    SriovAdapterNotFound: "HSCL1280", "The SR-IOV adapter {0} was not found.", Unverified, "List them with lshwres -r sriov --rsubtype adapter.";
    /// No such physical port.
    SriovPortNotFound: "HSCL1281", "The SR-IOV adapter with ID {0} has no physical port with ID {1}.", Unverified, "List them with lshwres -r sriov --rsubtype physport --level eth; the first port has ID 0.";
    /// An adapter that one partition has to itself.
    SriovAdapterDedicated: "HSCL1282", "The SR-IOV adapter in the slot {0} is in dedicated mode.", Unverified, "Change it to shared mode with chhwres -r sriov --rsubtype adapter -o a.";
    /// An adapter that is in shared mode already, or that nobody can have to itself.
    SriovAdapterShared: "HSCL1283", "The adapter in the slot {0} is an SR-IOV adapter in shared mode.", Unverified, "Change it to dedicated mode with chhwres -r sriov --rsubtype adapter -o r.";
    /// An adapter whose mode cannot change.
    SriovAdapterInUse: "HSCL1284", "The mode of the SR-IOV adapter in the slot {0} cannot be changed because {1}.", Unverified, "List its logical ports with lshwres -r sriov --rsubtype logport --level eth.";
    /// An adapter number that another one has.
    SriovAdapterIdUsed: "HSCL1285", "The SR-IOV adapter ID {0} is already used.", Unverified, "Leave it out, or choose another one.";
    /// No such logical port.
    LogicalPortNotFound: "HSCL1286", "The logical port {0} was not found.", Unverified, "List them with lshwres -r sriov --rsubtype logport --level eth.";
    /// A logical port that the partition does not have.
    LogicalPortNotOwned: "HSCL1287", "The logical port {0} is not assigned to the partition {1}.", Unverified, "List them with lshwres -r sriov --rsubtype logport --level eth.";
    /// What a change of a logical port failed for follows.
    LogicalPortRefused: "HSCL127D:", "{0}", Captured, "The second code says why.";
    /// A logical port that the partition has already.
    LogicalPortOwned: "HSCL1288", "The logical port {0} is already assigned to the partition.", Unverified, "Choose another logical port, or leave it out.";
    /// A logical port that another partition, or a vNIC, has.
    LogicalPortUsed: "HSCL1289", "The logical port {0} is assigned to the partition {1}.", Unverified, "Choose another logical port, or leave it out.";
    /// No logical port is left.
    LogicalPortsExhausted: "HSCL128A", "All {2} logical ports that physical port {1} of the SR-IOV adapter with ID {0} can have are in use.", Unverified, "Remove a logical port, or use another physical port.";
    /// The sum over a physical port.
    CapacityExceeded: "HSCL1293", "The total capacity of all logical ports on physical port {1} of the SR-IOV adapter with ID {0} would exceed 100.0; it is {2} without the change.", Unverified, "Ask for less, or use another physical port.";
    /// A capacity that is not in whole steps.
    CapacityGranularity: "HSCL1294", "The capacity specified for the logical port with configuration ID {0} is {1}. This is not a multiple of the capacity granularity of the specified protocol of this physical port which is {2}.", Captured, "Use a multiple of min_eth_capacity_granularity.";
    /// A capacity that is too small or too large.
    CapacityRange: "HSCL1295", "The capacity {0} is outside the valid range {1} to {2}.", Unverified, "See min_eth_capacity_granularity of the physical port.";
    /// Too many promiscuous logical ports.
    PromiscuousExceeded: "HSCL1257", "Physical port {1} of the SR-IOV adapter with ID {0} supports {2} logical ports in promiscuous mode, and all of them are configured.", Unverified, "Use another physical port.";
    /// A port that has no such protocol.
    LogicalPortProtocol: "HSCL128B", "Physical port {1} of the SR-IOV adapter with ID {0} does not support logical ports of type {2}.", Unverified, "List the port with lshwres -r sriov --rsubtype physport.";
    /// A machine without vNICs.
    VnicUnsupported: "HSCL12A0", "The managed system does not support virtual NICs.", Unverified, "vNICs need firmware level FW840 on a POWER8 system or later.";
    /// A machine or a console without failover of vNICs.
    VnicFailoverUnsupported: "HSCL12A1", "Virtual NIC failover is not supported: {0}.", Unverified, "It needs firmware level FW860 and management console V8 R8.6.0.";
    /// No backing device, or too many.
    VnicBackingDeviceCount: "HSCL12A2", "A virtual NIC has from 1 to {0} backing devices; {1} were specified.", Unverified, "Remove a backing device first.";
    /// Two backing devices on one physical port.
    VnicPortRepeated: "HSCL12A3", "The virtual NIC in virtual slot {0} has more than one backing device on physical port {2} of the SR-IOV adapter with ID {1}.", Unverified, "Use another physical port.";
    /// A server that is none, or is the client itself.
    VnicServerInvalid: "HSCL12A4", "The partition {0} cannot host a backing device of a virtual NIC: {1}.", Unverified, "Name a Virtual I/O Server.";
    /// A server that cannot be asked.
    VnicServerUnavailable: "HSCL12A5", "The Virtual I/O Server {0} must be running with an RMC connection to host a backing device of a virtual NIC.", Unverified, "Check rmc_state of the Virtual I/O Server.";
    /// A server that is needed.
    VnicServerHosts: "HSCL12A6", "The Virtual I/O Server {0} hosts a backing device of a virtual NIC of partition {1}.", Unverified, "Remove the backing device first.";
    /// What a backing device does not allow to be changed.
    VnicAttributeFixed: "HSCL12A7", "The attribute {0} of a virtual NIC cannot be changed after it was created.", Unverified, "Remove the virtual NIC and create it anew.";
    /// No such backing device.
    VnicBackingDeviceNotFound: "HSCL12A8", "The virtual NIC in virtual slot {0} has no backing device {1}.", Unverified, "List them with lshwres -r virtualio --rsubtype vnicbkdev --level lpar.";
    /// A backing device that cannot carry anything.
    VnicBackingDeviceDown: "HSCL12A9", "The backing device on logical port {0} cannot be made active because its status is {1}.", Unverified, "List them with lshwres -r virtualio --rsubtype vnicbkdev --level lpar.";
    /// What follows from making a backing device active.
    VnicFailoverTurnedOff: "", "Automatic failover by priority of the virtual NIC in virtual slot {0} is now turned off.  Turn it on with -o s -a auto_priority_failover=1, or keep it on with -o act -a keep_auto_priority_failover=1.", Own, "The real console turns it off without a word.";
    /// No virtual slot of a server is left.
    VnicServerSlotsExhausted: "HSCL12AA", "The Virtual I/O Server {0} hosts as many backing devices as it can.", Unverified, "Use another Virtual I/O Server.";
    /// Two trunk adapters of one VLAN with the same priority.
    TrunkPriorityUsed: "HSCL12B0", "The trunk priority {0} is already used by the adapter in virtual slot {4} of partition {3} for VLAN {1} on virtual switch {2}.", Unverified, "Trunk adapters of one VLAN need priorities of their own.";
    /// A group of trunk adapters that does not exist.
    LoadGroupNotFound: "", "No trunk adapter with port VLAN ID {0} is on virtual switch {1}.", Own, "List trunk adapters with lshwres -r virtualio --rsubtype eth --level lpar.";
    /// Trunk adapters that cannot be changed together.
    LoadGroupRefused: "", "The VLAN was not added to any Virtual I/O Server, because the trunk adapter in virtual slot {1} of partition {0} cannot take it: {2}", Own, "See the reason given.";
    /// DLPAR without RMC: memory and processors.
    DlparNoRmc: "HSCL2957", "Either there is currently no RMC connection between the management console and the partition {0} or the partition does not support dynamic partitioning operations. Verify the network setup on the management console and the partition, and ensure that any firewall authentication between the management console and the partition has occurred.", Captured, "Check rmc_state; --force does not help here.";
    /// DLPAR ended short of the wish.
    DlparPartial: "HSCL2932", "The dynamic {0} operation on partition {1} ended with {2} of {3} requested.  The reasons reported by the partition are:", Unverified, "Retry with a longer -w, or free memory in the partition.";
    /// DLPAR beyond the running maximum or minimum.
    DlparOutOfRange: "HSCL294A", "The resulting {0} {1} is outside the current range {2} to {3} of partition {4}.", Unverified, "Activate the partition with a profile of another range.";
    /// DLPAR with nothing free.
    DlparNotEnough: "HSCL0611", "The managed system has only {0} {1} available, {2} were requested.", Unverified, "Free some first.";
    /// The user's task role does not allow the command.
    NotAuthorized: "HSCL350B", "The user does not have the appropriate authority.", Captured, "Use a user with another task role.";
    /// A second virtual terminal.
    TerminalOpen: "", "A terminal session is already open for this partition. Only one open session is allowed for a partition. Exiting....", Captured, "Use rmvterm.";
    /// The managed system has no power.
    TerminalSystemOff: "HSCLA0A2", "The virtual terminal of partition {0} cannot be opened in its current state, {1}.", Unverified, "Power the managed system on first.";
    /// IBM i has a 5250 console.
    TerminalOfIbmI: "", "The partition {0} is an IBM i partition.  A virtual terminal can be opened for an AIX, Linux or Virtual I/O Server partition only.", Unverified, "Use a 5250 console.";
    /// Wrong boot or key word.
    ValueNotAllowed: "", "The command entered is either missing a required parameter or a parameter value is invalid. The parameters that are missing or have an invalid value are {0}. Please check your entry and retry the command.", Captured, "Run the command with --help.";
    /// The authority could not record a change.
    RecordFailed: "HSCL0002", "The change could not be recorded: {0}.  Nothing was changed.", Own, "Check free space of the data directory.";
    /// Too many requests wait.
    Busy: "HSCL0003", "The managed system is busy.  Retry the command.", Own, "Retry.";
    /// The command was cancelled or the time is up.
    WaitExpired: "HSCL0004", "The operation did not finish within {0} minutes.  It goes on in the background.", Own, "Look at the state of the partition.";
    /// Adding virtual I/O to a running partition without RMC.
    VirtualAddNoRmc: "HSCL294C", "Dynamic add of virtual I/O resources failed:  There is currently no RMC connection between the management console and the partition {0}.", Unverified, "Check rmc_state, or shut the partition down first.";
    /// Removing virtual I/O from a running partition without RMC.
    VirtualRemoveNoRmc: "HSCL294D", "Dynamic remove of virtual I/O resources failed:  There is currently no RMC connection between the management console and the partition {0}.", Unverified, "Check rmc_state, or shut the partition down first.";
    /// The guest did not take a virtual adapter.
    VirtualAddFailed: "HSCL294C", "Dynamic add of virtual I/O resources failed:  The I/O slot dynamic partitioning operation failed on partition {0}.  Here are the virtual slot IDs that failed and the reasons for failure:", Unverified, "Read the lines of the partition below.";
    /// The guest did not give up a virtual adapter.
    VirtualRemoveFailed: "HSCL294D", "Dynamic remove of virtual I/O resources failed:  The I/O slot dynamic partitioning operation failed on partition {0}.  Here are the virtual slot IDs that failed and the reasons for failure:", Unverified, "Remove the device in the partition first (rmdev).";
    /// The guest did not take a physical slot.
    PhysicalAddFailed: "HSCL2928", "The dynamic addition of I/O resources failed: The I/O slot dynamic partitioning operation failed.  Here are the I/O slot IDs that failed and the reasons for failure:", Unverified, "Read the lines of the partition below.";
    /// The guest did not give up a physical slot.
    PhysicalRemoveFailed: "HSCL2929", "The dynamic removal of I/O resources failed: The I/O slot dynamic partitioning operation failed.  Here are the I/O slot IDs that failed and the reasons for failure:", Captured, "Remove the devices in the partition first (rmdev).";
    /// The partition has the slot already.
    PhysicalSlotOwned: "", "The partition {0} already has the I/O slot.", Unverified, "List the slots with lshwres -r io --rsubtype slot.";
    /// The partition has not the slot.
    PhysicalSlotNotOwned: "", "The partition {0} does not have the I/O slot with DRC index {1}.", Unverified, "List the slots with lshwres -r io --rsubtype slot.";
    /// The machine lacks virtual Fibre Channel.
    VirtualFibreChannelUnsupported: "HSCLA4C0", "The managed system does not support virtual Fibre Channel.", Unverified, "Use another managed system.";
    /// No such virtual adapter.
    VirtualAdapterNotFound: "HSCL0570", "The partition {0} has no {1} adapter in virtual slot {2}.", Unverified, "List them with lshwres -r virtualio --rsubtype slot --level slot.";
    /// The console's own serial adapters.
    ConsoleAdapterFixed: "HSCL0571", "The virtual serial adapter in slot {0} belongs to the management console and cannot be removed.", Unverified, "Slots 0 and 1 of every partition serve the console.";
    /// Every virtual slot of a partition has an adapter.
    VirtualSlotsExhausted: "HSCL0572", "All of the {0} virtual slots are in use.", Unverified, "Apply a profile with a higher max_virtual_slots.";
    /// A virtual switch of that name is there.
    VirtualSwitchUsed: "HSCL0573", "The virtual switch name {0} is already used.", Unverified, "Choose another name.";
    /// A virtual switch of the site file.
    VirtualSwitchFixed: "HSCL0574", "The virtual switch {0} is part of the managed system and cannot be removed or renamed.", Own, "Only switches that were added with chhwres can be.";
    /// A virtual switch that a definition names.
    VirtualSwitchInUse: "HSCL0575", "The virtual switch {0} is used by partition {1}.", Unverified, "Remove the adapters from its profiles and current configuration first.";
    /// Too many virtual switches.
    VirtualSwitchesExhausted: "HSCL0576", "The managed system supports {0} virtual switches, and all of them are defined.", Unverified, "Remove a switch.";
    /// No such shared processor pool.
    ProcessorPoolNotFound: "HSCL0577", "The shared processor pool {0} was not found.", Unverified, "List them with lshwres -r procpool; pools 1 to 63 are SharedPool01 to SharedPool63 until they are renamed.";
    /// A name of another shared processor pool.
    ProcessorPoolNameUsed: "HSCL0578", "The shared processor pool name {0} is already used.", Unverified, "Choose another name.";
    /// The default pool has no limits of its own.
    ProcessorPoolFixed: "HSCL0579", "The name and the limits of the default shared processor pool cannot be changed.", Unverified, "Use one of the pools 1 to 63.";
    /// The entitlements of a pool's partitions and its reserve do not fit its maximum.
    ProcessorPoolTooSmall: "HSCL057A", "The shared processor pool {0} has a maximum of {1} processing units, {2} are needed.", Unverified, "Raise max_pool_proc_units.";
    /// A pool with partitions cannot be emptied of capacity.
    ProcessorPoolInUse: "HSCL057B", "The shared processor pool {0} is used by partition {1}.", Unverified, "Give the partition another pool first.";
    /// A partition or profile without ports to log in.
    PortLoginNoAdapter: "HSCLAB40", "The partition {0} has no virtual Fibre Channel client adapter.", Unverified, "Name a profile with -n if the partition was never activated.";
    /// The server cannot log a port in.
    PortLoginFailed: "HSCLAB41", "The N_Port login operation failed for the virtual Fibre Channel adapter in virtual slot {0}: {1}.", Unverified, "Add the server adapter, and check rmc_state of the Virtual I/O Server.";
    /// A firmware update failed; the reason follows on the next lines.
    FirmwareOperationFailed: "HSCF0180E", "Operation failed for {0} ({1}).", Captured, "The lines below name the reason.";
    /// Nothing newer in the repository.
    FirmwareNoUpdates: "", "No updates available.", Unverified, "List what the repository has with lslic -r.";
    /// No package of that level.
    FirmwareLevelNotFound: "", "The level {0} was not found in the repository.", Unverified, "List what the repository has with lslic -r.";
    /// The package is for other machines.
    FirmwareWrongMachine: "", "The firmware update package {0} is not for machines of type {1}.", Unverified, "Use the package of the machine's own platform.";
    /// A level below the installed one.
    FirmwareDowngrade: "", "The level {0} is below the installed level {1}.", Unverified, "Go back to the accepted level with -o r.";
    /// `-o a` and `-o i` stay within a release.
    FirmwareReleaseNeedsUpgrade: "", "The level {0} is of another release.  Use -o u to upgrade the release.", Unverified, "An upgrade is disruptive.";
    /// The state of the system does not allow an update.
    FirmwareStateNotAllowed: "", "The managed system is in the {0} state.  Firmware is updated in the Operating, Standby or Power Off state.", Unverified, "Wait for the system to come up.";
    /// The console is older than the package wants.
    FirmwareConsoleTooOld: "", "The firmware update package {0} needs a management console at {1} or later.", Unverified, "Update the management console first.";
    /// The image does not match its description, or the description is none.
    FirmwarePackageDamaged: "", "Could not unpack the firmware update package {0}: {1}.\nCheck the health and available disk space of the file system.", Unverified, "Copy the package again.";
    /// A repository that this console cannot reach, or that is not there.
    FirmwareRepositoryUnavailable: "", "The repository {0} cannot be used: {1}.", Own, "Copy the package into the home directory and use -r mountpoint.";
    /// An operating system has the control of updates.
    FirmwareControlledElsewhere: "", "Firmware updates of the managed system are controlled by an operating system.", Unverified, "Take control with -o h.";
    /// The accepted level runs already.
    FirmwareNothingToRemove: "", "The accepted level is the activated level.  There is nothing to remove.", Unverified, "Nothing to do.";
    /// Both sides have the same level.
    FirmwareNothingToAccept: "", "The installed level is the accepted level.  There is nothing to accept.", Unverified, "Nothing to do.";
    /// The installed level runs already, wholly.
    FirmwareNothingToActivate: "", "The installed level is the activated level.  There is nothing to activate.", Unverified, "Nothing to do.";
    /// The installed level has not run yet.
    FirmwareNotActivated: "", "The installed level {0} is not activated.", Unverified, "Activate it with -o d first.";
    /// A subsystem that the machine does not have.
    FirmwareNoSubsystem: "", "The managed system has no {0} firmware to update.", Unverified, "Use -t sys.";
    /// An update that failed on its way and was undone.
    FirmwareUndone: "", "The update was not completed and its steps were undone: {0}.", Own, "Look at the levels with lslic and try again.";
    /// An update that can only go forward and does not get on.
    FirmwareStuck: "", "The update could not be completed: {0}.  It is tried again when the managed system is started again.", Own, "Check free space of the data directory.";
    /// No such managed frame.
    FrameNotFound: "HSCL8005", "The managed frame {0} was not found.  Please check your entry and retry the command.", Unverified, "The machines of a site have no managed frames; use -m.";
    /// No such system profile.
    SystemProfileNotFound: "HSCL05A0", "The system profile named {0} was not found.  Please check your entry and retry the command.", Unverified, "List the system profiles with lssyscfg -r sysprof.";
    /// A system profile of that name is there already.
    SystemProfileNameUsed: "HSCL05A1", "The system profile name {0} is already used by another system profile of the managed system.", Unverified, "Choose another name.";
    /// A backup of profile data of that name is there already.
    ProfileDataExists: "HSCL05A2", "The profile data backup file {0} already exists.", Unverified, "Use --force to overwrite it.";
    /// No such backup of profile data.
    ProfileDataNotFound: "HSCL05A3", "The profile data backup file {0} was not found.", Unverified, "Check the name, and that the backup was made on this console.";
    /// A backup that cannot be restored.
    ProfileDataInvalid: "HSCL05A4", "The profile data cannot be restored: {0}.", Own, "Use a backup of this managed system that is whole.";
    /// A backup that cannot be written.
    ProfileDataUnwritable: "HSCL05A5", "The profile data cannot be backed up: {0}.", Own, "Check free space of the data directory.";
    /// A name that backup files cannot have.
    ProfileDataNameInvalid: "HSCL05A6", "The profile data backup file name {0} is not valid: {1}.", Own, "Give a name without directories.";
    /// Figures of the console's computer that the operating system does not give.
    MachineUnreadable: "", "The information is not available: {0}.", Own, "Look at the computer that Varan runs on.";
    /// A file system that consoles do not have.
    FileSystemNotFound: "", "The file system {0} was not found.  Please check your entry and retry the command.", Unverified, "List the file systems with lshmcfs.";
    /// Temporary files that cannot be removed.
    FileSystemNotFreed: "", "The temporary files cannot be removed: {0}.", Own, "Look at the data directory.";
    /// No such session of a user.
    SessionNotFound: "", "The session {0} was not found.  Please check your entry and retry the command.", Unverified, "List the sessions with lslogon.";
    /// No such command of a session.
    SessionTaskNotFound: "", "The task {0} of session {1} was not found.  Please check your entry and retry the command.", Unverified, "List the tasks with lslogon -t.";
    /// A name that another managed system has.
    SystemNameUsed: "HSCL0580", "The managed system name {0} is already used.", Unverified, "Choose another name.";
    /// No such user of the console.
    UserNotFound: "", "The user {0} was not found.  Please check your entry and retry the command.", Unverified, "List the users with lshmcusr -F name.";
    /// A user of that name is there already.
    UserNameUsed: "", "The user name {0} is already used.  Please check your entry and retry the command.", Unverified, "Choose another name.";
    /// A name that users or task roles cannot have.
    UserNameInvalid: "", "The name {0} is not valid: {1}.  Please check your entry and retry the command.", Unverified, "The text names what is allowed.";
    /// A user cannot remove or demote itself.
    UserIsOneself: "", "The user {0} cannot be removed, renamed or given another role by itself.", Unverified, "Log in as another user.";
    /// The console would have nobody left who may manage it.
    UserLastAdministrator: "", "The user {0} is the last one with the task role hmcsuperadmin.", Unverified, "Give another user that task role first.";
    /// More users, roles or keys than the console keeps.
    AccessLimit: "", "The console keeps at most {0} {1}.", Own, "Remove one first.";
    /// A password below the minimum length.
    PasswordTooShort: "", "The password must have at least {0} characters.", Unverified, "Choose a longer password.";
    /// A password that nobody could type.
    PasswordInvalid: "", "The password has more than {0} characters or a control character.", Own, "Choose another password.";
    /// The present password was not given correctly.
    PasswordWrong: "", "The current password is not correct.", Unverified, "Give the current password on standard input or as current_passwd.";
    /// The two entries of a new password.
    PasswordsDiffer: "", "The passwords do not match.", Unverified, "Enter the same password twice.";
    /// min_pwage has not passed.
    PasswordTooYoung: "", "The password of user {0} cannot be changed until {1} days after its last change.", Unverified, "Ask an administrator to change it.";
    /// A password that the active policy does not allow.
    PasswordPolicyViolated: "", "The password does not follow the password policy {0}: {1}.", Unverified, "List the active policy with lspwdpolicy -t s.";
    /// No such password policy.
    PasswordPolicyNotFound: "", "The password policy {0} was not found.  Please check your entry and retry the command.", Unverified, "List the policies with lspwdpolicy -t p -F name.";
    /// Password policy name taken.
    PasswordPolicyNameUsed: "", "The password policy name {0} is already used.  Please check your entry and retry the command.", Unverified, "Choose another name.";
    /// The predefined password policy cannot be changed.
    PasswordPolicyPredefined: "", "The password policy {0} is predefined and cannot be changed or removed.", Unverified, "Make a policy of your own.";
    /// The active password policy cannot be removed.
    PasswordPolicyActive: "", "The password policy {0} is active and cannot be removed.", Unverified, "Deactivate it with chpwdpolicy -o d first.";
    /// There is no active password policy.
    PasswordPolicyNotActive: "", "No password policy is active.", Unverified, "Activate one with chpwdpolicy -o a.";
    /// No such task role.
    TaskRoleNotFound: "", "The task role {0} was not found.  Please check your entry and retry the command.", Unverified, "List the task roles with lsaccfg -t taskrole -F name.";
    /// A task role of that name is there already.
    TaskRoleNameUsed: "", "The task role name {0} is already used.  Please check your entry and retry the command.", Unverified, "Choose another name.";
    /// A predefined task role.
    TaskRolePredefined: "", "The task role {0} is predefined and cannot be changed or removed.", Unverified, "Create a task role with this one as its parent.";
    /// A task role that something refers to.
    TaskRoleInUse: "", "The task role {0} is used by {1}.", Unverified, "Give the users another task role, remove the task roles below it first.";
    /// No such resource role.
    ResourceRoleNotFound: "", "The managed resource role {0} was not found.  Please check your entry and retry the command.", Unverified, "List the resource roles with lsaccfg -t resourcerole -F name.";
    /// Resource role name taken.
    ResourceRoleNameUsed: "", "The managed resource role name {0} is already used.  Please check your entry and retry the command.", Unverified, "Choose another name.";
    /// The resource role of all resources cannot be changed.
    ResourceRolePredefined: "", "The managed resource role {0} is predefined and cannot be changed or removed.", Unverified, "Make a resource role of your own.";
    /// A resource role that a user has.
    ResourceRoleInUse: "", "The managed resource role {0} is used by {1}.", Unverified, "Give the users another resource role first.";
    /// A text that is no managed resource, or one of a system that the console does not have.
    ResourceInvalid: "", "The managed resource {0} is not valid.  Please check your entry and retry the command.", Unverified, "List the resources with lsaccfg -t resource --script.";
    /// A task that no role of this console has, or that the parent lacks.
    TaskNotAvailable: "", "The task {0} cannot be given to the task role: {1}.", Own, "List the parent's tasks with lsaccfg -t taskrole.";
    /// A user whose files are still under its old name.
    HomeNotRenamed: "", "The user {0} has its new name, but not its home directory: {1}.", Own, "Rename the directory below the console's data directory.";
    /// The files of a removed user could not be removed.
    HomeNotRemoved: "", "The user {0} was removed, but not its home directory: {1}.", Own, "Remove the directory below the console's data directory.";
    /// The console's database does not answer.
    EventsUnreadable: "", "The events cannot be read: {0}.", Own, "Check free space of the data directory.";
    /// No part has that location code.
    LocationNotFound: "", "The physical location code {0} was not found.  Please check your entry and retry the command.", Unverified, "List the location codes with lsled -r ident -t phys.";
    /// No serviceable event of that number.
    ProblemNotFound: "", "The serviceable event with problem number {0} was not found.  Please check your entry and retry the command.", Unverified, "List the events with lssvcevents -t hardware -F problem_num.";
    /// A serviceable event that is closed already.
    ProblemClosed: "", "The serviceable event with problem number {0} is already closed.", Unverified, "List open events with --filter status=open.";
    /// Utilization data cannot be read.
    UtilizationUnreadable: "", "The utilization data cannot be read: {0}.", Own, "Check free space of the data directory.";
    /// Text that is no public key.
    KeyInvalid: "", "The key is not valid.  A public key is written as: algorithm key [comment].", Unverified, "Give the line of the .pub file in quotes.";
    /// A key that the user does not have.
    KeyNotFound: "", "No authorized key of user {0} matches.", Unverified, "Give the whole key or the comment at its end.";
    /// A REST object that does not exist.
    RestObjectNotFound: "REST029B", "The URL presented to the Management Console REST Web Services is not valid. The supplied URI does not identify a known resource.", Captured, "List the objects with GET on their type.";
    /// A REST type without this quick property.
    RestQuickUnsupported: "REST0003", "Type {0} does not support Quick Property {1}.", Captured, "Ask for quick/All, or for one of its names.";
    /// A REST type that does not exist, or not here.
    RestTypeUnknown: "REST000B", "The URL presented to the Management Console REST Web Services is not valid.REST000E Unrecognized root REST type of {0}.", Captured, "The types are listed in the documentation.";
    /// A REST type that does not exist below another.
    RestChildUnknown: "REST000B", "The URL presented to the Management Console REST Web Services is not valid.REST000D Unrecognized child REST type of {0} below {1}.", Unverified, "The types are listed in the documentation.";
    /// A REST path that is not of the grammar.
    RestPathInvalid: "REST000B", "The URL presented to the Management Console REST Web Services is not valid.", Captured, "Paths begin with /rest/api/uom or /rest/api/web.";
    /// A group of attributes that does not exist.
    RestGroupInvalid: "", "The extended attribute group {0} is not valid.", Unverified, "Use None, All or one of the documented groups.";
    /// A search that is not of the grammar.
    RestSearchInvalid: "", "Unable to parse expression.", Captured, "A search is (Name==value) or (Name!=value).";
    /// A document that is not well-formed or not of its type.
    RestDocumentInvalid: "REST0001", "Failed to unmarshal input payload. {0}", Unverified, "Send a document of the type, as it was read.";
    /// A REST job that does not exist.
    RestNoSuchJob: "REST0005", "No such Job {0}", Unverified, "This level has no jobs.";
    /// Too many requests for events at once.
    RestTooManyEventRequests: "REST026C", "Maximum number of event requests exceeded", Captured, "Wait for the answer to the first.";
    /// No session, or one that is over.
    RestSessionInvalid: "", "The session is missing, not valid or expired. Log on again.", Own, "PUT /rest/api/web/Logon.";
    /// Too many sessions.
    RestTooManySessions: "", "The maximum number of sessions is reached.", Own, "Log off sessions that are not used.";
    /// The log-on is refused.
    RestLogonRefused: "", "The user or the password is not valid, or the user may not use the API.", Own, "Check the user with lshmcusr.";
    /// The keys by which a console reaches another.
    RemoteKeysMissing: "HSCL3653", "The Secure Shell (SSH) communication configuration between the source and destination management consoles has not been set up properly for the remote user {0}. Run the mkauthkeys command to set up the SSH communication authentication keys", Captured, "Run mkauthkeys --ip on this console.";
    /// Another console does not answer.
    RemoteConsoleUnreachable: "", "The management console {0} cannot be reached: {1}.", Unverified, "Check the address.";
    /// The password of a user of another console.
    RemotePasswordWrong: "", "The password of user {0} on the remote host {1} is not correct.", Unverified, "Enter it again.";
    /// Another console refused.
    RemoteConsoleRefused: "", "The management console {0} refused: {1}", Unverified, "See what it says.";
    /// A host that is not the one it was.
    RemoteConsoleChanged: "", "The management console {0} has another host key than when the keys were set up.", Unverified, "If the console was installed anew, run mkauthkeys --ip again.";
    /// A command on a Virtual I/O Server that failed, or could not be run there.
    VirtualIoServerCommandFailed: "HSCL2970", "The IOServer command has failed because of the following reason:\n{0}", Captured, "The lines below it are the server's own; a server without RMC runs no command from here.";
    /// A command for a Virtual I/O Server on another partition.
    NotVirtualIoServer: "", "The partition {0} is not a Virtual I/O Server partition. Please check your entry and retry the command.", Unverified, "lssyscfg -r lpar -F name,lpar_env shows which partitions are.";
    /// The account is locked.
    RestLogonLocked: "", "{0}", Own, "Wait until the account is open again.";
    /// A method that this object does not have.
    RestMethodUnsupported: "", "The method {0} is not supported for {1} at this level.", Own, "This level reads; it does not create or change.";
    /// A representation that cannot be given.
    RestNotAcceptable: "", "No representation of {0} is acceptable: {1}.", Own, "Ask for application/atom+xml or */*.";
    /// A request that is too large.
    RestTooLarge: "", "The request is larger than {0} bytes.", Own, "Send less.";
}

impl Message {
    /// The text with `arguments` in place, the code before it where there is one.
    #[must_use]
    pub fn render(&self, arguments: &[String]) -> String {
        let mut line = String::with_capacity(self.text.len() + 32);
        if !self.code.is_empty() {
            line.push_str(self.code);
            line.push(' ');
        }
        line.push_str(&fill(self.text, arguments));
        line
    }
}

/// A text with its `{0}`-like places filled in.
#[must_use]
pub(crate) fn fill(text: &str, arguments: &[String]) -> String {
    let mut line = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        line.push_str(&rest[..at]);
        let digit = rest.as_bytes().get(at + 1).map_or(0, |byte| usize::from(byte.wrapping_sub(b'0')));
        line.push_str(arguments.get(digit).map_or("", String::as_str));
        rest = &rest[at + 3..];
    }
    line.push_str(rest);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_places_are_single_digits() {
        let mut seen = std::collections::BTreeMap::new();
        for key in MessageKey::ALL {
            let message = key.message();
            // These say what failed; the text after them says why.
            let shared = matches!(message.code, "HSCL294C" | "HSCL294D" | "REST000B");
            if !message.code.is_empty() && !shared {
                assert_eq!(seen.insert(message.code, key), None, "{} twice", message.code);
            }
            for (at, _) in message.text.match_indices('{') {
                let place = &message.text.as_bytes()[at..at + 3];
                assert!(place[1].is_ascii_digit() && place[2] == b'}', "{key:?}");
            }
            assert!(!message.advice.is_empty());
        }
    }

    #[test]
    fn arguments_are_put_in_place() {
        let text = MessageKey::PartitionNotFound.message().render(&["x{0}".to_owned()]);
        assert_eq!(
            text,
            "HSCL8012 The partition named x{0} was not found.  Please check your entry and retry the command."
        );
    }
}
