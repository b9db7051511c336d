//! From the names that clients send to components below the home.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::HomeError;
use crate::limits;

/// A place in the home: components below it, none of them empty, `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HomePath {
    components: Vec<OsString>,
}

impl HomePath {
    /// Reads a client's name. `shown_as` is the home's absolute name. Names are bytes, as on any
    /// Unix; `..` is taken lexically, which is exact where no symbolic link is followed.
    pub(crate) fn parse(name: &[u8], shown_as: &str) -> Result<Self, HomeError> {
        if name.len() > limits::PATH_LENGTH {
            return Err(HomeError::TooLong);
        }
        if name.contains(&0) {
            return Err(HomeError::NotFound);
        }
        let home = split(shown_as.as_bytes());
        let mut parts: Vec<&[u8]> = Vec::new();
        let relative = match name {
            [b'/', ..] => name,
            [b'~', ..] => {
                let (who, rest) = match name.iter().position(|byte| *byte == b'/') {
                    Some(slash) => name.split_at(slash),
                    None => (name, &b""[..]),
                };
                if who != b"~" && home.last() != Some(&&who[1..]) {
                    return Err(HomeError::Outside);
                }
                parts.extend(&home);
                rest
            }
            _ => {
                parts.extend(&home);
                name
            }
        };
        for part in relative.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop()),
                _ => parts.push(part),
            }
        }
        if !parts.starts_with(&home) {
            return Err(HomeError::Outside);
        }
        let below = &parts[home.len()..];
        if below.len() > limits::PATH_DEPTH {
            return Err(HomeError::TooLong);
        }
        Ok(Self { components: below.iter().map(|part| OsString::from_vec(part.to_vec())).collect() })
    }

    /// The entry `name` of this directory.
    pub(crate) fn join(&self, name: &[u8]) -> Result<Self, HomeError> {
        if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') || name.contains(&0) {
            return Err(HomeError::Outside);
        }
        if self.components.len() >= limits::PATH_DEPTH {
            return Err(HomeError::TooLong);
        }
        let mut components = self.components.clone();
        components.push(OsString::from_vec(name.to_vec()));
        Ok(Self { components })
    }

    /// The absolute name, as the user sees it.
    pub(crate) fn absolute(&self, shown_as: &str) -> Vec<u8> {
        let mut name = shown_as.trim_end_matches('/').as_bytes().to_vec();
        for component in &self.components {
            name.push(b'/');
            name.extend(component.as_encoded_bytes());
        }
        name
    }

    pub(crate) fn components(&self) -> &[OsString] {
        &self.components
    }

    /// The last component; `None` is the home itself.
    pub(crate) fn name(&self) -> Option<&OsString> {
        self.components.last()
    }
}

fn split(name: &[u8]) -> Vec<&[u8]> {
    name.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "/home/hscroot";

    fn absolute(name: &str) -> Option<String> {
        let path = HomePath::parse(name.as_bytes(), HOME).ok()?;
        Some(String::from_utf8(path.absolute(HOME)).unwrap())
    }

    #[test]
    fn names_mean_what_they_should() {
        let table = [
            ("", Some("/home/hscroot")),
            (".", Some("/home/hscroot")),
            ("~", Some("/home/hscroot")),
            ("~/a/b", Some("/home/hscroot/a/b")),
            ("~hscroot/a", Some("/home/hscroot/a")),
            ("~hscpe/a", None),
            ("a//b/./c", Some("/home/hscroot/a/b/c")),
            ("a/../b", Some("/home/hscroot/b")),
            ("/home/hscroot/", Some("/home/hscroot")),
            ("/home//hscroot/x", Some("/home/hscroot/x")),
            ("../hscroot/x", Some("/home/hscroot/x")),
            ("..", None),
            ("../hscpe", None),
            ("../../etc/passwd", None),
            ("a/../../../etc", None),
            ("/", None),
            ("/home", None),
            ("/home/hscroot2", None),
            ("/home/hscroot/../hscpe", None),
            ("/etc/passwd", None),
            ("a\0b", None),
            ("...", Some("/home/hscroot/...")),
        ];
        for (name, expected) in table {
            assert_eq!(absolute(name).as_deref(), expected, "{name:?}");
        }
    }

    #[test]
    fn no_name_leads_out_and_every_accepted_one_is_stable() {
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        let parts = ["", ".", "..", "a", "home", "hscroot", "~", "~hscroot", "etc"];
        for _ in 0..20_000 {
            let count = random.usize(0..7);
            let name: Vec<&str> = (0..count).map(|_| parts[random.usize(..parts.len())]).collect();
            let name = name.join("/");
            let Ok(path) = HomePath::parse(name.as_bytes(), HOME) else { continue };
            assert!(
                path.components().iter().all(|part| part != ".." && part != "." && !part.is_empty()),
                "seed {seed}: {name:?}"
            );
            assert_eq!(HomePath::parse(&path.absolute(HOME), HOME).unwrap(), path, "seed {seed}: {name:?}");
        }
    }

    #[test]
    fn long_and_deep_names_are_refused() {
        assert!(HomePath::parse(&vec![b'a'; limits::PATH_LENGTH + 1], HOME).is_err());
        assert!(HomePath::parse("a/".repeat(limits::PATH_DEPTH).as_bytes(), HOME).is_ok());
        assert!(HomePath::parse("a/".repeat(limits::PATH_DEPTH + 1).as_bytes(), HOME).is_err());
        let home = HomePath::parse(b"", HOME).unwrap();
        for name in [&b""[..], b".", b"..", b"a/b", b"a\0"] {
            assert!(home.join(name).is_err());
        }
    }
}
