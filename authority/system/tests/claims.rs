//! Unique names of the world: no two systems may both accept one, however requests, claims and restarts mix.

#![allow(missing_docs)]

mod support;

use std::time::Duration;

use support::{Bench, SMALL, directory};
use varan_contract::system::*;
use varan_model::record::parse_record;
use varan_model::rules::unique::{Holder, UniqueName};

const ADDRESS: &str = "0a0102030405";

fn create(name: &str) -> SystemRequest {
    let record =
        format!("name={name},{SMALL}").replace("ETHERNET0//all", &format!("ETHERNET0/{ADDRESS}/all"));
    SystemRequest::CreatePartition { record: parse_record(&record).expect("record") }
}

fn needed(reply: Result<SystemReply, CallError>) -> Vec<(Holder, UniqueName)> {
    match reply {
        Ok(SystemReply::ClaimNeeded { names, .. }) => names,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stated_address_needs_a_claim_and_a_generated_one_does_not() {
    let mut bench = Bench::open(&directory("claims-needed"), 1);
    bench.create("plain").expect("created without a claim");
    let before = bench.authority.counters().transactions;
    let names = needed(bench.call_once(create("lpar1")));
    let (holder, name) = names[0].clone();
    assert_eq!((names.len(), name), (1, UniqueName::MacAddress(ADDRESS.parse().expect("address"))));
    assert_eq!(bench.authority.counters().transactions, before, "nothing was recorded");
    assert!(bench.authority.world().snapshot.names.get("lpar1").is_none(), "nothing was done");
    // A claim of another, and one that is too old, do not help.
    let claim = ClaimId(7);
    let with = |claim| SystemRequest::WithClaim { claim, request: Box::new(create("lpar1")) };
    needed(bench.call_once(with(claim)));
    bench.call_once(SystemRequest::Claim { claim, names: names.clone() }).expect("granted");
    needed(bench.call_once(with(ClaimId(8))));
    bench.environment.advance(CLAIM_PHASE + Duration::from_secs(1));
    needed(bench.call_once(with(claim)));
    bench.call_once(SystemRequest::ReleaseClaim { claim }).expect("released");
    bench.call_once(SystemRequest::Claim { claim, names }).expect("granted");
    bench.call_once(with(claim)).expect("created");
    bench.call_once(SystemRequest::ReleaseClaim { claim }).expect("released");
    assert_eq!(bench.authority.counters().transactions, before + 1);
    // The partition has it now: its own changes need no claim, others' claims on it are refused.
    let apply = SystemRequest::ApplyProfile {
        partition: support::named("lpar1"),
        profile: "default_profile".to_owned(),
    };
    assert_eq!(bench.call_once(apply), Ok(SystemReply::Done));
    let names = |holder| vec![(holder, UniqueName::MacAddress(ADDRESS.parse().expect("address")))];
    let refused = bench.refused(SystemRequest::Claim { claim: ClaimId(9), names: names(holder) });
    assert_eq!(refused, format!("HSCL0564 The MAC address {ADDRESS} is already used."));
    // Source and target definition of one partition may share it.
    let holder = Holder::Partition(bench.uuid("lpar1"));
    bench.call_once(SystemRequest::Claim { claim: ClaimId(9), names: names(holder) }).expect("shared");
    bench.authority.world().check_invariants();
}

#[test]
fn a_new_name_of_the_system_needs_a_claim() {
    let mut bench = Bench::open(&directory("claims-name"), 1);
    let rename = SystemRequest::ChangeSystem { record: parse_record("new_name=box").expect("record") };
    let names = needed(bench.call_once(rename.clone()));
    let holder = names[0].0;
    assert_eq!(names, [(holder, UniqueName::System("box".to_owned()))]);
    bench.call(rename.clone()).expect("renamed");
    assert_eq!(bench.call_once(rename), Ok(SystemReply::Done), "the name that it has needs none");
    let other = Holder::System(varan_model::ids::SystemUuid::from_random(99));
    let claim =
        |holder| SystemRequest::Claim { claim: ClaimId(3), names: vec![(holder, names[0].1.clone())] };
    assert!(bench.refused(claim(other)).starts_with("HSCL0580"));
    bench.call_once(claim(holder)).expect("its own");
}

#[test]
fn an_address_given_elsewhere_is_never_generated_here() {
    let directory = directory("claims-reserved");
    let mut bench = Bench::open(&directory, 1);
    let identity = bench.authority.world().system().hardware.identity.clone();
    let next = varan_model::rules::addresses::mac_address(&identity, 0);
    let holder = Holder::Partition(varan_model::ids::PartitionUuid::from_random(5));
    let names = vec![(holder, UniqueName::MacAddress(next))];
    bench.call_once(SystemRequest::Claim { claim: ClaimId(1), names }).expect("granted");
    drop(bench);
    let mut bench = Bench::open(&directory, 2);
    bench.create("lpar1").expect("created");
    bench.power_on("lpar1");
    let content = bench.entry("lpar1").partition.current.clone().expect("current");
    let generated = varan_model::rules::validity::mac_addresses(&content).next().expect("generated");
    assert_eq!(generated, varan_model::rules::addresses::mac_address(&identity, 1));
}

/// One asker on its way through the dialogue, as `varan-console` has it.
struct Asker {
    target: usize,
    claim: ClaimId,
    name: String,
    held: Option<Vec<(Holder, UniqueName)>>,
    claimed: usize,
    over: bool,
}

impl Asker {
    fn release(&mut self, frames: &mut [Bench]) {
        for frame in frames.iter_mut().take(self.claimed) {
            frame.call_once(SystemRequest::ReleaseClaim { claim: self.claim }).expect("released");
        }
        self.over = true;
    }

    fn step(&mut self, frames: &mut [Bench]) {
        let count = frames.len();
        match &self.held {
            None => match frames[self.target].call_once(create(&self.name)) {
                Ok(SystemReply::ClaimNeeded { names, .. }) => self.held = Some(names),
                Ok(other) => panic!("made without a claim: {other:?}"),
                Err(_) => self.over = true,
            },
            Some(names) if self.claimed < count => {
                let (names, claim) = (names.clone(), self.claim);
                match frames[self.claimed].call_once(SystemRequest::Claim { claim, names }) {
                    Ok(_) => self.claimed += 1,
                    Err(_) => self.release(frames),
                }
            }
            Some(_) => {
                let request = Box::new(create(&self.name));
                let made =
                    frames[self.target].call_once(SystemRequest::WithClaim { claim: self.claim, request });
                if matches!(made, Ok(SystemReply::ClaimNeeded { .. })) {
                    // The target was restarted: everything anew under another claim.
                    self.release(frames);
                    let claim = ClaimId(self.claim.0 + 1_000);
                    (self.claim, self.held, self.claimed, self.over) = (claim, None, 0, false);
                } else {
                    self.release(frames);
                }
            }
        }
    }
}

fn holders(frames: &[Bench], names: usize) -> usize {
    let defined = |frame: &Bench, name: usize| {
        frame.authority.world().snapshot.names.get(&format!("lpar{name}")).is_some()
    };
    frames.iter().map(|frame| (0..names).filter(|name| defined(frame, *name)).count()).sum()
}

#[test]
fn at_most_one_of_many_askers_gets_an_address() {
    let mut won = 0;
    for seed in 0..60_u64 {
        let mut state = seed;
        let mut draw = |below: usize| {
            usize::try_from(varan_environment::split_mix(&mut state) % below as u64).expect("small")
        };
        let directories: Vec<_> = (0..3).map(|frame| directory(&format!("claims-race-{frame}"))).collect();
        let mut frames: Vec<Bench> = directories
            .iter()
            .zip(1..)
            .map(|(directory, extra)| Bench::open(directory, seed * 8 + extra))
            .collect();
        let mut askers: Vec<Asker> = (0..4)
            .map(|number| Asker {
                target: draw(3),
                claim: ClaimId(number),
                name: format!("lpar{number}"),
                held: None,
                claimed: 0,
                over: false,
            })
            .collect();
        let mut restarts = draw(3);
        while askers.iter().any(|asker| !asker.over) {
            if restarts > 0 && draw(8) == 0 {
                restarts -= 1;
                let lost = draw(3);
                let seed = seed * 8 + 5;
                let directory = frames[lost].directory.clone();
                let elsewhere = Bench::open(&support::directory("claims-spare"), seed);
                drop(std::mem::replace(&mut frames[lost], elsewhere));
                frames[lost] = Bench::open(&directory, seed);
            }
            let next = draw(4);
            if !askers[next].over {
                askers[next].step(&mut frames);
            }
            assert!(holders(&frames, 4) <= 1, "seed {seed}: two definitions have the address");
        }
        won += holders(&frames, 4);
    }
    assert!(won > 50, "only {won} of 60 runs gave the address to somebody");
}
