//! Names and files of a volume.

use std::collections::BTreeMap;

use crate::content::Content;
use crate::random::{Random, Survival};

/// Number of a file; a name that is deleted and made again is another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileNumber(u64);

#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    names: BTreeMap<String, FileNumber>,
    durable: BTreeMap<String, FileNumber>,
    /// Unsynced versions of names that changed, oldest first.
    versions: BTreeMap<String, Vec<Option<FileNumber>>>,
    files: BTreeMap<FileNumber, Content>,
    made: u64,
}

impl Directory {
    pub(crate) fn find(&self, name: &str) -> Option<FileNumber> {
        self.names.get(name).copied()
    }

    pub(crate) fn make(&mut self, name: &str) -> FileNumber {
        self.made += 1;
        let number = FileNumber(self.made);
        self.files.insert(number, Content::default());
        self.names.insert(name.to_owned(), number);
        self.versions.entry(name.to_owned()).or_default().push(Some(number));
        number
    }

    /// Deletes a name; its content stays for those who have it open, and for a loss of power.
    pub(crate) fn delete(&mut self, name: &str) -> bool {
        let found = self.names.remove(name).is_some();
        if found {
            self.versions.entry(name.to_owned()).or_default().push(None);
        }
        found
    }

    pub(crate) fn sync(&mut self) {
        self.versions.clear();
        self.durable.clone_from(&self.names);
    }

    pub(crate) fn content(&self, file: FileNumber) -> Option<&Content> {
        self.files.get(&file)
    }

    pub(crate) fn content_mut(&mut self, file: FileNumber) -> Option<&mut Content> {
        self.files.get_mut(&file)
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.versions.is_empty() && self.names.values().all(|number| self.files[number].is_durable())
    }

    /// What is left when the power goes.
    pub(crate) fn survive(&mut self, random: &mut Random) {
        let survival = Survival::draw(random);
        for (name, unsynced) in std::mem::take(&mut self.versions) {
            let mut versions = vec![self.durable.get(&name).copied()];
            versions.extend(unsynced);
            match survival.choose(random, &versions) {
                Some(number) => self.durable.insert(name, *number),
                None => self.durable.remove(&name),
            };
        }
        self.names.clone_from(&self.durable);
        let names = &self.names;
        self.files.retain(|number, _| names.values().any(|named| named == number));
        for content in self.files.values_mut() {
            let survival = Survival::draw(random);
            content.survive(survival, random);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_durable_with_its_directory() {
        let mut outcomes = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let mut directory = Directory::default();
            directory.make("kept");
            directory.sync();
            directory.make("new");
            assert!(directory.delete("kept") && !directory.delete("kept"));
            directory.survive(&mut Random(seed));
            outcomes.insert((directory.find("kept").is_some(), directory.find("new").is_some()));
            assert!(directory.is_durable());
        }
        assert_eq!(outcomes.len(), 4, "in any order: {outcomes:?}");
    }
}
