//! The content of one file: what reads show, what is durable, and the versions between.

use std::collections::BTreeMap;

use crate::random::{Random, Survival};

/// Bytes that reach the medium together or not at all.
pub(crate) const SECTOR: usize = 512;

type Sector = [u8; SECTOR];

#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    current: Vec<u8>,
    durable: Vec<u8>,
    /// Unsynced versions of each sector, oldest first.
    versions: BTreeMap<usize, Vec<Sector>>,
    /// Unsynced lengths, oldest first.
    lengths: Vec<usize>,
}

impl Content {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.current
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.versions.is_empty() && self.lengths.is_empty()
    }

    /// Writes; `reaches` says of each sector whether the write gets there.
    pub(crate) fn write(&mut self, offset: usize, data: &[u8], mut reaches: impl FnMut() -> bool) {
        let mut done = 0;
        while done < data.len() {
            let at = offset + done;
            let length = (SECTOR - at % SECTOR).min(data.len() - done);
            if reaches() {
                self.resize(self.current.len().max(at + length));
                self.current[at..at + length].copy_from_slice(&data[done..done + length]);
                self.note(at / SECTOR);
            }
            done += length;
        }
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        let before = self.current.len();
        self.resize(length);
        for sector in length / SECTOR..before.div_ceil(SECTOR) {
            self.note(sector);
        }
    }

    fn resize(&mut self, length: usize) {
        if length != self.current.len() {
            self.current.resize(length, 0);
            self.lengths.push(length);
        }
    }

    fn note(&mut self, sector: usize) {
        let version = sector_of(&self.current, sector);
        self.versions.entry(sector).or_default().push(version);
    }

    pub(crate) fn sync(&mut self) {
        self.durable.resize(self.current.len(), 0);
        for sector in std::mem::take(&mut self.versions).into_keys() {
            let start = sector * SECTOR;
            let end = (start + SECTOR).min(self.current.len());
            if start < end {
                self.durable[start..end].copy_from_slice(&self.current[start..end]);
            }
        }
        self.lengths.clear();
    }

    /// What is left when the power goes.
    pub(crate) fn survive(&mut self, survival: Survival, random: &mut Random) {
        let mut lengths = vec![self.durable.len()];
        lengths.append(&mut self.lengths);
        let length = *survival.choose(random, &lengths);
        let mut bytes = self.durable.clone();
        bytes.resize(length, 0);
        for (sector, unsynced) in std::mem::take(&mut self.versions) {
            let start = sector * SECTOR;
            if start >= length {
                continue;
            }
            let mut versions = vec![self.never_written(sector, random)];
            versions.extend(unsynced);
            let kept = survival.choose(random, &versions);
            let end = (start + SECTOR).min(length);
            bytes[start..end].copy_from_slice(&kept[..end - start]);
        }
        self.current.clone_from(&bytes);
        self.durable = bytes;
    }

    /// The durable content of a sector. Where the file had none, there are zeros, or what was on the medium before.
    fn never_written(&self, sector: usize, random: &mut Random) -> Sector {
        let mut content = sector_of(&self.durable, sector);
        if sector * SECTOR >= self.durable.len() && random.below(4) == 0 {
            for byte in &mut content {
                *byte = random.next().to_le_bytes()[0];
            }
        }
        content
    }
}

fn sector_of(bytes: &[u8], sector: usize) -> Sector {
    let mut content = [0; SECTOR];
    let start = (sector * SECTOR).min(bytes.len());
    let end = (start + SECTOR).min(bytes.len());
    content[..end - start].copy_from_slice(&bytes[start..end]);
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_synced_survives_and_the_rest_is_old_or_new_by_sector() {
        let (mut kept, mut lost, mut torn) = (0, 0, 0);
        for seed in 0..500 {
            let mut random = Random(seed);
            let mut content = Content::default();
            content.write(0, &[1; 4 * SECTOR], || true);
            content.sync();
            assert!(content.is_durable());
            content.write(SECTOR, &[2; 2 * SECTOR], || true);
            let survival = Survival::draw(&mut random);
            content.survive(survival, &mut random);
            assert!(content.is_durable());
            let bytes = content.bytes();
            assert_eq!(bytes.len(), 4 * SECTOR);
            assert!(bytes[..SECTOR].iter().chain(&bytes[3 * SECTOR..]).all(|&byte| byte == 1));
            for sector in bytes.chunks(SECTOR) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is whole");
            }
            match (bytes[SECTOR], bytes[2 * SECTOR]) {
                (2, 2) => kept += 1,
                (1, 1) => lost += 1,
                _ => torn += 1,
            }
        }
        assert!(kept > 50 && lost > 50 && torn > 50, "{kept} {lost} {torn}");
    }

    #[test]
    fn a_truncation_may_be_undone_and_leaves_zeros_behind_a_new_end() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut random = Random(seed);
            let mut content = Content::default();
            content.write(0, &[7; 1_000], || true);
            content.sync();
            content.truncate(300);
            content.write(700, &[8; 100], || true);
            assert_eq!(content.bytes()[299..302], [7, 0, 0]);
            assert_eq!((content.bytes()[699], content.bytes()[700]), (0, 8));
            let survival = Survival::draw(&mut random);
            content.survive(survival, &mut random);
            seen.insert(content.bytes().len());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [300, 800, 1_000]);
    }
}
