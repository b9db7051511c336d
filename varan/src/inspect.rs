//! `varan inspect`: what the registries hold.

use varan_model::attributes::{self, Table};
use varan_model::codes::{Evidence, MessageKey};

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
        "attributes" => each_table(|table, attribute, help, _| println!("{table}\t{attribute}\t{help}")),
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

fn each_table(mut visit: impl FnMut(&str, &str, &str, Evidence)) {
    fn walk<Row>(table: &Table<Row>, visit: &mut impl FnMut(&str, &str, &str, Evidence)) {
        for attribute in table.attributes {
            visit(table.name, attribute.name, attribute.help, attribute.evidence);
        }
    }
    walk(&attributes::system::SYSTEM, &mut visit);
    walk(&attributes::partition::PARTITION, &mut visit);
    walk(&attributes::profile::PROFILE, &mut visit);
    walk(&attributes::memory::SYSTEM_MEMORY, &mut visit);
    walk(&attributes::memory::PARTITION_MEMORY, &mut visit);
    walk(&attributes::memory::MEMORY_POOLS, &mut visit);
    walk(&attributes::processor::SYSTEM_PROCESSORS, &mut visit);
    walk(&attributes::processor::PARTITION_PROCESSORS, &mut visit);
    walk(&attributes::processor::POOL_PROCESSORS, &mut visit);
}

fn unverified() {
    println!("Messages whose wording no source shows:");
    codes(|evidence| evidence == Evidence::Unverified);
    println!("Attributes whose name or place no source shows:");
    each_table(|table, attribute, _, evidence| {
        if evidence == Evidence::Unverified {
            println!("{table}\t{attribute}");
        }
    });
}
