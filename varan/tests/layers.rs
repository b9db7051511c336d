//! The rules of the repository that a program can check: layers, sizes, licences, wording.

#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Layers from the bottom up, by the folder that a crate is in.
const LAYERS: [&str; 7] = ["base", "model", "contract", "engine", "authority", "surface", "varan"];

/// Crates of the lowest layer that others of it may use: they use none themselves.
const FOUNDATIONS: [&str; 2] = ["base/environment", "base/ethernet"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("root").to_owned()
}

fn manifest(path: &Path) -> toml::Table {
    std::fs::read_to_string(path).expect("manifest").parse().expect("toml")
}

fn members() -> Vec<String> {
    let root = manifest(&root().join("Cargo.toml"));
    let members = root["workspace"]["members"].as_array().expect("members");
    members.iter().map(|member| member.as_str().expect("text").to_owned()).collect()
}

fn layer(member: &str) -> usize {
    let folder = member.split('/').next().expect("folder");
    LAYERS.iter().position(|layer| *layer == folder).unwrap_or_else(|| panic!("{member} is in no layer"))
}

#[test]
fn crates_depend_only_on_layers_below() {
    let mut packages = BTreeMap::new();
    for member in members() {
        let manifest = manifest(&root().join(&member).join("Cargo.toml"));
        let name = manifest["package"]["name"].as_str().expect("name").to_owned();
        packages.insert(name, (member, manifest));
    }
    for (name, (member, manifest)) in &packages {
        let none = toml::Table::new();
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).unwrap_or(&none);
        for dependency in dependencies.keys() {
            if let Some((other, _)) = packages.get(dependency) {
                let foundation =
                    FOUNDATIONS.contains(&other.as_str()) && !FOUNDATIONS.contains(&member.as_str());
                assert!(
                    layer(other) < layer(member) || foundation,
                    "{name} in {member} may not depend on {dependency} in {other}: only on layers below"
                );
            }
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(directory: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(directory).expect("directory") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("source");
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    for member in members() {
        for part in ["src", "tests", "benches"] {
            let directory = root().join(&member).join(part);
            if directory.exists() {
                walk(&directory, &mut found);
            }
        }
    }
    found
}

#[test]
fn files_stay_under_a_thousand_lines() {
    for (path, text) in sources() {
        assert!(text.lines().count() <= 1_000, "{} is too long", path.display());
    }
}

/// The only modules with unsafe code. Each says in its first lines why.
const UNSAFE_MODULES: [&str; 6] = [
    "base/power-loss/src/vfs.rs",
    "engine/block/src/file/ring.rs",
    "engine/fabric/src/host/tap_device.rs",
    "engine/partition/src/memory/host.rs",
    "engine/qemu/src/tied.rs",
    "varan/tests/support/allocations.rs",
];

#[test]
fn unsafe_code_is_denied_everywhere_else() {
    let manifest = manifest(&root().join("Cargo.toml"));
    assert_eq!(manifest["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("deny"));
    for (path, text) in sources() {
        let word = concat!("allow(", "unsafe_code");
        if UNSAFE_MODULES.iter().any(|module| path.ends_with(module)) {
            assert!(text.starts_with("//!") && text.contains("unsafe code, because"), "{}", path.display());
            continue;
        }
        assert!(!text.contains(word), "{} allows unsafe code without being named here", path.display());
    }
    for member in members() {
        let text = std::fs::read_to_string(root().join(&member).join("Cargo.toml")).expect("manifest");
        assert!(text.contains("[lints]\nworkspace = true"), "{member} does not take the workspace's lints");
    }
}

#[test]
fn nothing_that_is_linked_has_a_copyleft_licence() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata");
    if !output.status.success() {
        println!(
            "SKIP: licences: cargo metadata needs the registry: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("name");
        let licence = package["license"].as_str().unwrap_or("");
        let acceptable =
            licence.split(" OR ").any(|choice| !choice.contains("GPL") && !choice.contains("MPL"));
        assert!(acceptable && !licence.is_empty(), "{name} has the licence `{licence}`");
    }
}

#[test]
fn one_cryptography_library_is_built() {
    // A lock file also names what no enabled feature asks for; the tree is what is built.
    let users_of = |name: &str| {
        let arguments = ["tree", "--locked", "--offline", "--workspace", "--target", "all", "-i", name];
        let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output();
        output.expect("cargo tree").stdout
    };
    if users_of("aws-lc-rs").is_empty() {
        println!("SKIP: cryptography: cargo tree needs the registry");
        return;
    }
    let ring = users_of("ring");
    assert!(ring.is_empty(), "ring is built besides aws-lc-rs:\n{}", String::from_utf8_lossy(&ring));
}
