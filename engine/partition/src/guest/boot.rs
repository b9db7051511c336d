//! The one table of boot phases: reference codes, real durations and console text.
//!
//! The `C2xx` codes are those of the virtual service processor, `CAxx` of the partition firmware, `AAxx` its
//! attention codes, the four-digit ones those of the AIX IPL and the `C6`/`C9` ones those of the IBM i IPL; the
//! sets are in the public Power Systems reference and progress code lists. The durations add up to about 90
//! seconds for AIX.

use varan_contract::engine::Personality;

/// One phase of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Reference code posted at its start.
    pub code: &'static str,
    /// Real duration in milliseconds, before `time_scale`.
    pub milliseconds: u64,
    /// Console text at its start.
    pub console: &'static str,
}

const fn phase(code: &'static str, milliseconds: u64, console: &'static str) -> Phase {
    Phase { code, milliseconds, console }
}

/// Reference codes that are not phases.
pub mod reference_codes {
    /// The firmware stopped in the System Management Services.
    pub const SYSTEM_MANAGEMENT_SERVICES: &str = "AA00E1A9";
    /// The firmware stopped at its prompt.
    pub const OPEN_FIRMWARE: &str = "AA00E1A8";
    /// No device of the boot list holds an operating system.
    pub const NO_OPERATING_SYSTEM: &str = "AA06000B";
    /// A disk of the boot list was not detected or could not be read; the boot list will not be retried.
    pub const BOOT_DISK_NOT_DETECTED: &str = "AA060011";
    /// AIX could not write its root file systems during the IPL.
    pub const AIX_ROOT_FAILED: &str = "0518";
    /// Shown while Linux runs.
    pub const LINUX_RUNNING: &str = "Linux ppc64le";
    /// Shown while an operating system runs that clears its panel.
    pub const BLANK: &str = "";
}

const FIRMWARE: &[Phase] = &[
    phase("C2001010", 1_000, ""),
    phase("C2001100", 1_000, ""),
    phase("C2004011", 2_000, ""),
    phase("CA000020", 1_000, ""),
    phase("CA000040", 1_000, ""),
    phase("CA000050", 1_000, ""),
    phase("CA000060", 1_000, ""),
    phase("CA000070", 2_000, ""),
    phase("CA00E101", 2_000, "\nPowerPC Firmware\n"),
    phase("CA00E130", 3_000, ""),
    phase("CA00E134", 2_000, "STARTING SOFTWARE\nPLEASE WAIT...\n"),
    phase("CA00E1F1", 5_000, ""),
    phase("CA00E139", 2_000, ""),
];

const AIX: &[Phase] = &[
    phase("CA00E14D", 3_000, "Elapsed time since release of system processors: 21 seconds\n"),
    phase("0510", 6_000, "Welcome to AIX.\n"),
    phase("0511", 4_000, ""),
    phase("0551", 8_000, "boot image timestamp: rootvg, hd5\n"),
    phase("0517", 7_000, ""),
    phase("0553", 6_000, ""),
    phase("0538", 14_000, "Saving Base Customize Data to boot disk\nStarting the sync daemon\n"),
    phase("0c33", 5_000, "Starting the error daemon\nSystem initialization completed.\n"),
    phase("0581", 9_000, "Starting TCP/IP daemons\n"),
    phase("0c31", 4_000, "Starting multi-user initialization\n"),
];

const LINUX: &[Phase] = &[
    phase("CA00E14D", 3_000, "OF stdout device is: /vdevice/vty@30000000\n"),
    phase("CF000012", 2_000, "Preparing to boot Linux\nBooting Linux via __start()\n"),
    phase("CF000015", 20_000, "Starting kernel services\n"),
    phase(reference_codes::LINUX_RUNNING, 30_000, "Starting system services\n"),
];

const IBM_I: &[Phase] = &[
    phase("C6004031", 8_000, ""),
    phase("C6004057", 8_000, ""),
    phase("C6004065", 10_000, ""),
    phase("C9002910", 10_000, ""),
    phase("C9002AA3", 15_000, ""),
    phase("C9002C25", 10_000, ""),
    phase("C9002F00", 10_000, ""),
];

/// Phases from power on until the boot device is looked for.
#[must_use]
pub fn firmware_phases() -> &'static [Phase] {
    FIRMWARE
}

/// Phases from the boot device to the login prompt.
#[must_use]
pub fn kernel_phases(personality: Personality) -> &'static [Phase] {
    match personality {
        Personality::Aix | Personality::VirtualIoServer => AIX,
        Personality::Linux => LINUX,
        Personality::IbmI => IBM_I,
    }
}
