//! `ManagementConsole`.

use std::sync::Arc;

use varan_console::ConsoleDescription;
use varan_model::ids::SystemUuid;

use super::{Links, Object, some};
use crate::element::{Element, links, objects, outline_inner, section, text, write, write_inner};
use crate::entry::named_id;
use crate::query::Groups;
use crate::xml::{TEMPLATES, UOM, WEB, XmlWriter};

/// The console itself.
pub struct ConsoleView {
    /// Links.
    pub links: Arc<Links>,
    /// As the site describes it.
    pub description: ConsoleDescription,
    /// Systems that it is connected to.
    pub systems: Vec<SystemUuid>,
    /// Address that the client used.
    pub address: String,
}

/// Identity of a console.
pub fn console_id(description: &ConsoleDescription) -> String {
    named_id(&["ManagementConsole", &description.identity.to_string(), &description.name])
}

static MACHINE: &[Element<ConsoleView>] = &[
    text("MachineType", "CUR", |view| some(view.type_model().0)),
    text("Model", "CUR", |view| some(view.type_model().1)),
    text("SerialNumber", "CUR", |view| some(&view.description.identity.serial_number)),
];

static INTERFACE: &[Element<ConsoleView>] = &[
    text("InterfaceName", "CUD", |_| some("eth0")),
    text("NetworkAddress", "CUR", |view| some(&view.address)),
];

fn version_part(view: &ConsoleView, index: usize) -> Option<String> {
    let (_, release) = view.description.version_and_release();
    some(release.split('.').nth(index).unwrap_or("0"))
}

static VERSION: &[Element<ConsoleView>] = &[
    text("BuildLevel", "CUD", |view| some(&view.description.build_level)),
    text("Maintenance", "CUD", |view| version_part(view, 2)),
    text("Minor", "CUD", |view| version_part(view, 1)),
    text("Release", "CUD", |view| version_part(view, 0)),
    text("ServicePackName", "CUD", |view| some(&view.description.service_pack)),
    text("Version", "CUR", |view| some(view.description.version_and_release().0)),
];

/// One version of every object model, whatever the console's release, as recorded.
macro_rules! model_version {
    ($namespace:expr) => {
        &[text("MinorVersion", "CUR", |_| some("1.0")), text("SchemaNamespace", "CUR", |_| some($namespace))]
    };
}

static TEMPLATE_VERSION: &[Element<ConsoleView>] = model_version!(TEMPLATES);
static MODEL_VERSION: &[Element<ConsoleView>] = model_version!(UOM);
static WEB_VERSION: &[Element<ConsoleView>] = model_version!(WEB);

static FIX: &[Element<String>] = &[text("IFix", "ROO", |fix: &String| some(fix)).since(3, 0)];

impl ConsoleView {
    fn type_model(&self) -> (&str, &str) {
        self.description.identity.type_model.split_once('-').unwrap_or_default()
    }
}

/// Elements of the console in the order of recorded answers.
pub static CONSOLE: &[Element<ConsoleView>] = &[
    section("MachineTypeModelAndSerialNumber", "ROR", MACHINE),
    links("ManagedSystems", "CUD", |view| {
        let path = view.path();
        view.systems.iter().map(|uuid| view.links.to(&format!("{path}/ManagedSystem/{uuid}"))).collect()
    }),
    text("ManagementConsoleName", "CUR", |view| some(&view.description.name)),
    objects(
        "NetworkInterfaces",
        "CUD",
        |view, writer, groups| {
            write_inner("ManagementConsoleNetworkInterface", INTERFACE, view, groups, writer);
        },
        |prefix, found| outline_inner("ManagementConsoleNetworkInterface", INTERFACE, prefix, found),
    ),
    section("TemplateObjectModelVersion", "ROR", TEMPLATE_VERSION),
    section("UserObjectModelVersion", "ROR", MODEL_VERSION),
    section("VersionInfo", "ROR", VERSION),
    section("WebObjectModelVersion", "ROR", WEB_VERSION),
    text("BIOS", "ROR", |view: &ConsoleView| some(&view.description.bios_level)).since(2, 0),
    text("BaseVersion", "ROR", |view: &ConsoleView| some(&view.description.base_version)).since(2, 0),
    objects(
        "IFixDetails",
        "ROO",
        |view: &ConsoleView, writer, groups| {
            for fix in &view.description.fixes {
                write_inner("IFixDetail", FIX, fix, groups, writer);
            }
        },
        |prefix, found| outline_inner("IFixDetail", FIX, prefix, found),
    )
    .since(3, 0),
];

impl Object for ConsoleView {
    fn kind(&self) -> &'static str {
        "ManagementConsole"
    }

    fn id(&self) -> String {
        console_id(&self.description)
    }

    fn path(&self) -> String {
        format!("ManagementConsole/{}", self.id())
    }

    fn version(&self) -> String {
        format!("{:?} {:?}", self.description, self.systems)
    }

    fn write(&self, writer: &mut XmlWriter, groups: Groups) {
        write(CONSOLE, self, groups, writer);
    }
}
