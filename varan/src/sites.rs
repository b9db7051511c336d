//! Site files: the shipped ones by name, others by path.

use std::path::Path;

use varan_model::site::Site;

/// Shipped sites: name and text.
pub const SHIPPED: &[(&str, &str)] = &[
    ("demo", include_str!("../../sites/demo.toml")),
    ("simplified-remote-restart", include_str!("../../sites/simplified-remote-restart.toml")),
    ("vnic", include_str!("../../sites/vnic.toml")),
    ("remote-restart", include_str!("../../sites/remote-restart.toml")),
    ("novalink", include_str!("../../sites/novalink.toml")),
    ("pools", include_str!("../../sites/pools.toml")),
    ("mobility-deck", include_str!("../../sites/mobility-deck.toml")),
    ("toolkit", include_str!("../../sites/toolkit.toml")),
    ("two-consoles", include_str!("../../sites/two-consoles.toml")),
    ("storage", include_str!("../../sites/storage.toml")),
    ("bridges", include_str!("../../sites/bridges.toml")),
    ("large", include_str!("../../sites/large.toml")),
];

/// Loads a site by the name of a shipped one, or from a file.
///
/// # Errors
/// A text for the person: the file cannot be read, or what is wrong in it with line and key.
pub fn load(name_or_path: &str) -> Result<Site, String> {
    if let Some((name, text)) = SHIPPED.iter().find(|(name, _)| *name == name_or_path) {
        return Site::parse(text, &format!("sites/{name}.toml")).map_err(|error| error.to_string());
    }
    let path = Path::new(name_or_path);
    if !path.exists() {
        let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "there is no site {name_or_path}: it is neither a file nor one of {}",
            names.join(", ")
        ));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name_or_path}: {error}"))?;
    Site::parse(&text, name_or_path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_site_loads() {
        for (name, _) in SHIPPED {
            assert_eq!(load(name).expect(name).name, *name);
        }
        assert!(load("no-such-site").expect_err("unknown").contains("neither a file nor one of demo"));
    }
}
