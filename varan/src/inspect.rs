//! `varan inspect`: what the registries hold.

use varan_command::AttributeHelp;
use varan_model::attributes::Release;
use varan_model::codes::{Evidence, MessageKey};
use varan_model::vios::ViosMessage;

/// Later than every release: all attributes.
const NEWEST: Release = Release(u8::MAX, 0, 0, 0);

/// Prints a topic.
///
/// # Errors
/// An unknown topic.
pub fn inspect(topic: &str) -> Result<(), String> {
    match topic {
        "unverified" => unverified(),
        "codes" => codes(|_| true),
        "commands" => {
            for name in varan_command::command_names() {
                println!("{name}");
            }
        }
        "attributes" => each_attribute(|command, form, attribute| {
            println!("{command} {form}\t{}\t{}", attribute.name, attribute.help);
        }),
        other => return Err(format!("unknown topic {other}: unverified, codes, commands, attributes")),
    }
    Ok(())
}

fn codes(wanted: impl Fn(Evidence) -> bool) {
    for key in MessageKey::ALL {
        let message = key.message();
        if wanted(message.evidence) {
            let code = if message.code.is_empty() { "(no code)" } else { message.code };
            println!("{code}\t{:?}\t{}\t{}", message.evidence, message.text, message.advice);
        }
    }
}

/// Visits every attribute of every command: command, form, attribute.
fn each_attribute(mut visit: impl FnMut(&str, &str, &AttributeHelp)) {
    for command in varan_command::commands() {
        for group in command.attributes {
            for attribute in (group.attributes)(NEWEST) {
                visit(command.name, group.title, &attribute);
            }
        }
    }
}

fn unverified() {
    println!("Messages whose wording no source shows:");
    codes(|evidence| evidence == Evidence::Unverified);
    println!("Messages of Virtual I/O Servers whose wording no source shows:");
    for key in ViosMessage::ALL {
        let entry = key.entry();
        if entry.evidence == Evidence::Unverified {
            println!("{}\t{}", entry.exit_status, entry.text.replace('\n', " "));
        }
    }
    println!("Attributes whose name or place no source shows:");
    each_attribute(|command, form, attribute| {
        if attribute.evidence == Evidence::Unverified {
            println!("{command} {form}\t{}", attribute.name);
        }
    });
}
