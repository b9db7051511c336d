//! The partition firmware's console: System Management Services, the Open Firmware prompt, and the diagnostics
//! screen that a service boot ends in.

use varan_contract::engine::{EngineEventKind, GuestState};

use super::boot::reference_codes;
use super::line::LineEvent;
use super::machine::Stage;
use super::{Guest, Moment};

/// Which of the firmware's consoles waits for input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Menu {
    OpenFirmware,
    SystemManagementServices,
    /// The boot list is exhausted; the reference code says why.
    NothingToBoot(&'static str),
}

const MAIN_MENU: &str = "
PowerPC Firmware
-------------------------------------------------------------------------------
 Main Menu
 1.   Select Language
 2.   Setup Remote IPL (Initial Program Load)
 3.   I/O Device Information
 4.   Select Console
 5.   Select Boot Options

-------------------------------------------------------------------------------
 Navigation Keys:
                                             X = eXit System Management Services
-------------------------------------------------------------------------------
 Type menu item number and press Enter or select Navigation key:";

const OPEN_FIRMWARE_PROMPT: &str = "\n0 > ";

pub(super) const DIAGNOSTICS_SCREEN: &str = "
DIAGNOSTIC OPERATING INSTRUCTIONS

This system was booted in service mode. No diagnostic tasks are provided.
Type 0 and press Enter to power the partition off.
";

impl Guest {
    pub(super) fn enter_menu(&mut self, menu: Menu) {
        self.stage = Stage::Menu(menu);
        self.stage_due = None;
        self.line.forget();
        let code = match menu {
            Menu::OpenFirmware => reference_codes::OPEN_FIRMWARE,
            Menu::SystemManagementServices => reference_codes::SYSTEM_MANAGEMENT_SERVICES,
            Menu::NothingToBoot(code) => code,
        };
        self.post_code(code);
        self.event(EngineEventKind::State(GuestState::OpenFirmware));
        if let Menu::NothingToBoot(code) = menu {
            self.output(&format!("\nNo operating system was found in the boot list ({code}).\n"));
        }
        self.show_menu(menu);
    }

    fn show_menu(&mut self, menu: Menu) {
        self.output(match menu {
            Menu::OpenFirmware => OPEN_FIRMWARE_PROMPT,
            Menu::SystemManagementServices | Menu::NothingToBoot(_) => MAIN_MENU,
        });
    }

    pub(super) fn menu_byte(&mut self, now: Moment, menu: Menu, byte: u8) {
        let mut shown = Vec::new();
        let event = self.line.feed(byte, true, &mut shown);
        self.raw_output(shown);
        match event {
            LineEvent::Line(line) if menu == Menu::OpenFirmware => self.open_firmware_word(now, line.trim()),
            LineEvent::Line(line) => self.main_menu_choice(line.trim()),
            LineEvent::Interrupt | LineEvent::EndOfFile => self.show_menu(menu),
            LineEvent::Nothing => {}
        }
    }

    fn open_firmware_word(&mut self, now: Moment, line: &str) {
        match line {
            "" => {}
            "boot" => {
                self.event(EngineEventKind::State(GuestState::Starting));
                return self.search_boot_device();
            }
            "reset-all" => return self.reset(now),
            "shut-down" => return self.end(GuestState::Stopped { restart: false }),
            "printenv" => {
                let (disk, name) = (self.has_boot_disk, self.specification.name.clone());
                let device = if disk { "/vdevice/v-scsi@30000002/disk@8100000000000000" } else { "" };
                self.output(&format!(
                    "-------------- Partition: common -------- Signature: 0x70 ---------------\n\
                     ibm,partition-name       {name}\n\
                     auto-boot?               true\n\
                     boot-device              {device}\n\
                     boot-command             boot\n"
                ));
            }
            other => {
                let word = other.split_whitespace().next().unwrap_or_default();
                self.output(&format!("{word} unknown word\n"));
            }
        }
        self.show_menu(Menu::OpenFirmware);
    }

    fn main_menu_choice(&mut self, choice: &str) {
        let Stage::Menu(menu) = self.stage else {
            return;
        };
        match choice {
            // Choosing the boot device and leaving the menus both try the boot list, which has one device.
            "5" | "X" | "x" => {
                self.event(EngineEventKind::State(GuestState::Starting));
                return self.search_boot_device();
            }
            "0" => return self.enter_menu(Menu::OpenFirmware),
            "3" => {
                let adapters = self.specification.network_adapters.iter();
                let lines: String = adapters
                    .map(|adapter| {
                        format!(
                            " Interpartition Logical LAN  slot {}  {}\n",
                            adapter.slot, adapter.mac_address
                        )
                    })
                    .collect();
                self.output(&lines);
            }
            "1" | "2" | "4" => self.output(" This menu is not provided by this firmware.\n"),
            "" => {}
            _ => self.output(" Invalid choice.\n"),
        }
        self.show_menu(menu);
    }

    pub(super) fn diagnostics_byte(&mut self, now: Moment, byte: u8) {
        let mut shown = Vec::new();
        let event = self.line.feed(byte, true, &mut shown);
        self.raw_output(shown);
        if let LineEvent::Line(line) = event {
            match line.trim() {
                "0" => self.shut_down_by_command(now, true, false),
                _ => self.output(DIAGNOSTICS_SCREEN),
            }
        }
    }
}
