//! The fault disk against a model that knows, for each sector, what a power loss may leave.

use std::collections::BTreeMap;

use varan_simulator::{DiskError, DiskFaults, FaultDisk, PowerLoss, Randomness};

const SECTOR: usize = 16;
const SECTORS: u64 = 12;

/// One sector: what reads must show, what is surely durable, and what else may survive.
#[derive(Clone)]
struct Expected {
    shown: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Vec<u8>>,
}

struct Model {
    sectors: BTreeMap<u64, Expected>,
}

impl Model {
    fn new() -> Self {
        let blank = Expected { shown: vec![0; SECTOR], durable: vec![0; SECTOR], unsynced: Vec::new() };
        Self { sectors: (0..SECTORS).map(|sector| (sector, blank.clone())).collect() }
    }

    fn write(&mut self, offset: usize, data: &[u8]) {
        let mut touched = BTreeMap::new();
        for (index, byte) in data.iter().enumerate() {
            let at = offset + index;
            let sector = (at / SECTOR) as u64;
            self.sectors.get_mut(&sector).unwrap().shown[at % SECTOR] = *byte;
            touched.insert(sector, ());
        }
        for sector in touched.keys() {
            let expected = self.sectors.get_mut(sector).unwrap();
            expected.unsynced.push(expected.shown.clone());
        }
    }

    fn sync(&mut self) {
        for expected in self.sectors.values_mut() {
            if let Some(last) = expected.unsynced.drain(..).next_back() {
                expected.durable = last;
            }
        }
    }

    /// Takes over what the disk shows after a power loss, if it is among what may survive.
    fn adopt(&mut self, disk: &mut FaultDisk, kind: PowerLoss, seed: u64) {
        for (sector, expected) in &mut self.sectors {
            let mut found = vec![0; SECTOR];
            disk.read_at(sector * SECTOR as u64, &mut found).unwrap();
            let last = expected.unsynced.last().unwrap_or(&expected.durable);
            let allowed = match kind {
                PowerLoss::LoseUnsynced => found == expected.durable,
                PowerLoss::KeepUnsynced => found == *last,
                PowerLoss::Random => found == expected.durable || expected.unsynced.contains(&found),
            };
            assert!(allowed, "seed {seed}: sector {sector} shows {found:?} after {kind:?}");
            *expected = Expected { shown: found.clone(), durable: found, unsynced: Vec::new() };
        }
    }

    fn compare(&self, disk: &mut FaultDisk, seed: u64) {
        for (sector, expected) in &self.sectors {
            let mut found = vec![0; SECTOR];
            disk.read_at(sector * SECTOR as u64, &mut found).unwrap();
            assert_eq!(found, expected.shown, "seed {seed}: sector {sector}");
        }
    }
}

#[test]
fn the_disk_does_what_the_model_allows() {
    for seed in 0..200 {
        let mut random = Randomness::new(seed);
        let mut disk = FaultDisk::new(SECTOR, SECTORS, random.fork());
        let mut model = Model::new();
        for _ in 0..300 {
            match random.below(20) {
                0 => {
                    let kinds = [PowerLoss::Random, PowerLoss::LoseUnsynced, PowerLoss::KeepUnsynced];
                    let kind = *random.choose(&kinds).unwrap();
                    disk.power_loss(kind);
                    model.adopt(&mut disk, kind, seed);
                }
                1..=3 => {
                    disk.sync().unwrap();
                    assert_eq!(disk.unsynced(), 0);
                    model.sync();
                }
                _ => {
                    let offset = random.below(SECTOR as u64 * SECTORS - 40);
                    let mut data = vec![0; usize::try_from(random.below(40)).unwrap()];
                    random.fill(&mut data);
                    disk.write_at(offset, &data).unwrap();
                    model.write(usize::try_from(offset).unwrap(), &data);
                }
            }
            model.compare(&mut disk, seed);
        }
    }
}

#[test]
fn a_power_loss_tears_reorders_and_loses() {
    // Writes A then B, each of one sector, and C of two, must be seen in every combination.
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut disk = FaultDisk::new(SECTOR, 4, Randomness::new(seed));
        disk.write_at(0, &[1; SECTOR]).unwrap();
        disk.write_at(SECTOR as u64, &[2; SECTOR]).unwrap();
        disk.write_at(2 * SECTOR as u64, &[3; 2 * SECTOR]).unwrap();
        disk.power_loss(PowerLoss::Random);
        let mut found = [0; 4 * SECTOR];
        disk.read_at(0, &mut found).unwrap();
        seen.insert([found[0], found[SECTOR], found[2 * SECTOR], found[3 * SECTOR]]);
    }
    assert_eq!(seen.len(), 16);
}

#[test]
fn a_failed_sync_loses_writes_for_good_though_reads_show_them() {
    let mut lost = 0;
    for seed in 0..50 {
        let mut disk = FaultDisk::new(SECTOR, 4, Randomness::new(seed));
        disk.write_at(0, &[1; SECTOR]).unwrap();
        disk.set_faults(DiskFaults { sync_error: 1_000_000, ..DiskFaults::default() });
        assert_eq!(disk.sync(), Err(DiskError::Io { sector: 0 }));
        disk.set_faults(DiskFaults::default());
        disk.sync().unwrap();
        let mut found = [0; SECTOR];
        disk.read_at(0, &mut found).unwrap();
        assert_eq!(found, [1; SECTOR], "the cache still shows it");
        disk.power_loss(PowerLoss::KeepUnsynced);
        disk.read_at(0, &mut found).unwrap();
        lost += usize::from(found == [0; SECTOR]);
    }
    assert!((10..40).contains(&lost), "{lost}");
}

#[test]
fn a_power_cut_stops_a_write_in_the_middle_and_everything_after_it() {
    let mut disk = FaultDisk::new(SECTOR, 8, Randomness::new(4));
    disk.cut_power_after(2);
    disk.write_at(0, &[1; SECTOR]).unwrap();
    disk.write_at(0, &[2; SECTOR]).unwrap();
    assert_eq!(disk.write_at(0, &[3; 8 * SECTOR]), Err(DiskError::PowerOff));
    assert_eq!(disk.write_at(0, &[4]), Err(DiskError::PowerOff));
    assert_eq!(disk.sync(), Err(DiskError::PowerOff));
    assert_eq!(disk.read_at(0, &mut [0]), Err(DiskError::PowerOff));
    disk.power_loss(PowerLoss::KeepUnsynced);
    let mut found = [0; 8 * SECTOR];
    disk.read_at(0, &mut found).unwrap();
    let written = found.chunks(SECTOR).filter(|sector| sector[0] == 3).count();
    assert!(written < 8, "a part of the write is missing: {found:?}");
    assert!(
        found.chunks(SECTOR).all(|sector| sector.iter().all(|byte| *byte == sector[0])),
        "sectors are whole"
    );
}

#[test]
fn damaged_sectors_full_disks_and_bad_ranges_are_told() {
    let mut disk = FaultDisk::new(SECTOR, 4, Randomness::new(5));
    disk.damage_sector(1);
    assert_eq!(disk.read_at(SECTOR as u64, &mut [0]), Err(DiskError::Io { sector: 1 }));
    assert_eq!(disk.write_at(SECTOR as u64, &[1]), Err(DiskError::Io { sector: 1 }), "needs the rest of it");
    disk.write_at(SECTOR as u64, &[1; SECTOR]).unwrap();
    disk.read_at(SECTOR as u64, &mut [0]).unwrap();
    disk.set_space_limit(2);
    disk.write_at(0, &[1]).unwrap();
    assert_eq!(disk.write_at(2 * SECTOR as u64, &[1]), Err(DiskError::Full { sector: 2 }));
    disk.write_at(0, &[2]).unwrap();
    assert_eq!(disk.read_at(60, &mut [0; 5]), Err(DiskError::OutOfRange { offset: 60, length: 5, size: 64 }));
    assert!(disk.write_at(u64::MAX, &[1, 2]).is_err());
    disk.flip_bit(0, 0);
    let mut found = [0];
    disk.read_at(0, &mut found).unwrap();
    assert_eq!(found, [3]);
}

#[test]
fn injected_errors_come_at_their_rate_and_a_failed_write_keeps_a_prefix_at_most() {
    let mut disk = FaultDisk::new(SECTOR, 8, Randomness::new(6));
    disk.set_faults(DiskFaults { write_error: 500_000, read_error: 500_000, ..DiskFaults::default() });
    let failed = (0..1_000).filter(|_| disk.write_at(0, &[7; 8 * SECTOR]).is_err()).count();
    assert!((400..600).contains(&failed), "{failed}");
    let failed = (0..1_000).filter(|_| disk.read_at(0, &mut [0]).is_err()).count();
    assert!((400..600).contains(&failed), "{failed}");
    assert_eq!((disk.counters().writes, disk.counters().reads), (1_000, 1_000));
}
