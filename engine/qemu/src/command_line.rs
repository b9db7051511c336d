//! From a specification to the arguments of QEMU.

use varan_contract::engine::{BootMode, EngineError, GuestSpecification};
use varan_model::partition::{GuestEngine, KernelBoot};

use crate::directory::{CONSOLE_SOCKET, PID_FILE, QMP_SOCKET};

/// QEMU's `pseries` takes memory in blocks of this many MB.
const MEMORY_BLOCK: u64 = 256;

/// Processor compatibility modes and the processors of QEMU that have them, by how the modes' names begin. POWER8 is
/// the oldest that little-endian Linux runs on.
const PROCESSORS: [(&str, &str); 3] = [("POWER8", "power8"), ("POWER9", "power9"), ("POWER10", "power10")];

/// A value within a list of QEMU options: commas are doubled.
fn value(text: &str) -> String {
    text.replace(',', ",,")
}

fn processor(mode: &str) -> Result<&'static str, EngineError> {
    // POWER10 begins as POWER1 would, so that the longest name decides; no name here begins another.
    let found = PROCESSORS.iter().find(|(name, _)| mode.eq_ignore_ascii_case(name) || begins(mode, name));
    found.map(|(_, processor)| *processor).ok_or_else(|| {
        EngineError::Unsupported(format!(
            "processor compatibility mode {mode}; POWER8, POWER9 and POWER10 are"
        ))
    })
}

fn begins(mode: &str, name: &str) -> bool {
    // POWER9_base, POWER8_enhanced and the like.
    mode.strip_prefix(name).is_some_and(|rest| rest.starts_with(['_', '+']))
}

/// What the specification says about booting; an embedded guest is none of ours.
///
/// # Errors
/// [`EngineError::Unsupported`].
pub(crate) fn kernel_boot(specification: &GuestSpecification) -> Result<&KernelBoot, EngineError> {
    match &specification.engine {
        GuestEngine::Qemu(boot) => Ok(boot),
        GuestEngine::Embedded => Err(EngineError::Unsupported("an embedded guest on QEMU".to_owned())),
    }
}

/// The arguments for a guest whose process runs in its own directory. The guest is stopped until it is told to go on, so
/// that nothing it says is lost.
///
/// # Errors
/// [`EngineError::Unsupported`] where the specification asks for what this engine does not have.
pub(crate) fn arguments(
    specification: &GuestSpecification,
    sandbox: bool,
) -> Result<Vec<String>, EngineError> {
    let boot = kernel_boot(specification)?;
    let memory = specification.memory_megabytes;
    if memory == 0 || !memory.is_multiple_of(MEMORY_BLOCK) {
        return Err(EngineError::Unsupported(format!(
            "{memory} MB of memory: not a multiple of {MEMORY_BLOCK} MB"
        )));
    }
    let auto_boot = match specification.boot_mode {
        BootMode::Normal => true,
        BootMode::OpenFirmware => false,
        BootMode::SystemManagementServices => {
            return Err(EngineError::Unsupported("boot mode sms; norm and of are".to_owned()));
        }
        BootMode::DiagnosticsDefault | BootMode::DiagnosticsStored => {
            return Err(EngineError::Unsupported("boot modes dd and ds; norm and of are".to_owned()));
        }
    };
    let processor = processor(&specification.processor_mode)?;
    // What TCG cannot give is said to be broken, as it is; QEMU would warn about each otherwise.
    let machine = format!(
        "pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off,host-model={},host-serial={}",
        value(&specification.machine.type_model),
        value(&specification.machine.serial_number)
    );
    let mut list: Vec<String> = Vec::new();
    let mut add = |option: &str, value: String| list.extend([option.to_owned(), value]);
    add("-name", format!("guest={}", value(&specification.name)));
    add("-uuid", specification.partition.to_string());
    add("-machine", machine);
    add("-accel", "tcg,thread=multi".to_owned());
    add("-cpu", processor.to_owned());
    add("-smp", format!("cpus={}", specification.processors.processors.max(1)));
    add("-m", format!("{memory}M"));
    add("-rtc", "base=utc".to_owned());
    add("-display", "none".to_owned());
    add("-chardev", format!("socket,id=console,path={CONSOLE_SOCKET},server=on,wait=off"));
    add("-device", "spapr-vty,chardev=console".to_owned());
    add("-chardev", format!("socket,id=qmp,path={QMP_SOCKET},server=on,wait=off"));
    add("-mon", "chardev=qmp,mode=control".to_owned());
    add("-pidfile", PID_FILE.to_owned());
    // A guest that ended stays to be asked how it ended, even if nobody listened at that moment.
    add("-action", "reboot=reset,shutdown=pause,panic=pause,watchdog=pause".to_owned());
    if sandbox {
        add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny".to_owned());
    }
    if !auto_boot {
        add("-prom-env", "auto-boot?=false".to_owned());
    }
    if let Some(kernel) = &boot.kernel {
        add("-kernel", kernel.clone());
        if let Some(initial_ramdisk) = &boot.initial_ramdisk {
            add("-initrd", initial_ramdisk.clone());
        }
        if !boot.arguments.is_empty() {
            add("-append", boot.arguments.clone());
        }
    }
    list.extend(["-nodefaults", "-no-user-config", "-S"].map(str::to_owned));
    Ok(list)
}
