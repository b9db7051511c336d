//! The generic proofs accept right definitions and catch wrong ones.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use varan_task::proof::{
    ProofFailure, Subject, act_twice, cancel_at_every_step, crash_at_every_step, everything,
    fail_at_every_step, undo_twice,
};
use varan_task::{Step, StepFailure, StepOutcome, TaskDefinition, UndoOutcome, Wake};

/// Things by name with their owner, and a box that is moved between two shelves.
#[derive(Debug)]
struct World {
    things: BTreeMap<String, String>,
    shelf: &'static str,
    copied: u32,
    /// Lost by a restart.
    session: bool,
}

type Seen = (BTreeMap<String, String>, &'static str, u32);

fn look(world: &World) -> Seen {
    (world.things.clone(), world.shelf, world.copied)
}

fn fresh() -> World {
    let things = BTreeMap::from([("old".to_owned(), "somebody".to_owned())]);
    World { things, shelf: "source", copied: 0, session: false }
}

fn make(name: &'static str) -> Step<World> {
    Step::undoable(
        name,
        "prepare",
        move |world: &mut World, view| {
            world.things.insert(name.into(), view.task().to_string());
            StepOutcome::Done(json!({ "made": name }))
        },
        move |world, view| {
            world.things.retain(|other, owner| other != name || *owner != view.task().to_string());
            UndoOutcome::Done
        },
    )
}

/// Copies in four pieces, one per call.
fn copy() -> Step<World> {
    let act = |world: &mut World, view: &varan_task::StepView<'_>| {
        if world.copied == 4 {
            return StepOutcome::done();
        }
        world.copied += 1;
        let percent = u8::try_from(world.copied * 25).unwrap();
        StepOutcome::Pending { wake: Wake::At(view.now() + std::time::Duration::from_secs(1)), percent }
    };
    let undo = |world: &mut World, view: &varan_task::StepView<'_>| {
        if world.copied == 0 {
            return UndoOutcome::Done;
        }
        world.copied = 0;
        let at_latest = view.now() + std::time::Duration::from_secs(5);
        UndoOutcome::Pending(Wake::Signal { name: "erased".into(), at_latest })
    };
    Step::undoable("copy", "transfer", act, undo).weight(10)
}

fn switch() -> Step<World> {
    Step::point_of_no_return("switch", "switch over", |world: &mut World, _| {
        world.shelf = "target";
        StepOutcome::done()
    })
}

fn subject(steps: Vec<Step<World>>) -> Subject<World> {
    let definition = TaskDefinition::new("move", steps).unwrap();
    Subject::new(fresh(), definition, json!({})).on_restart(|world| world.session = false)
}

fn a_move() -> Subject<World> {
    let check = Step::reading("check", "validate", |world: &mut World, _| {
        if world.shelf == "source" { StepOutcome::done() } else { StepOutcome::Failed(failure()) }
    });
    let open = Step::undoable(
        "open session",
        "prepare",
        |world: &mut World, _| {
            world.session = true;
            StepOutcome::done()
        },
        |world, _| {
            world.session = false;
            UndoOutcome::Done
        },
    );
    let clean = Step::forward("clean", "clean up", |world: &mut World, view| {
        let made: serde_json::Value = view.output("port").unwrap().unwrap();
        assert_eq!(made, json!({ "made": "port" }));
        world.things.remove("port");
        StepOutcome::done()
    });
    let tell = Step::forward("tell", "clean up", |_: &mut World, _| StepOutcome::done());
    subject(vec![check, open, make("target"), make("port"), copy(), switch(), clean, tell])
}

fn failure() -> StepFailure {
    StepFailure::new("toy", "the toy failed")
}

#[test]
fn a_definition_without_a_point_of_no_return_is_right() {
    let cases = everything(|| subject(vec![make("first"), make("second"), make("third")]), look).unwrap();
    assert!(cases > 300, "{cases}");
}

#[test]
fn a_definition_with_a_point_of_no_return_is_right() {
    let cases = everything(a_move, look).unwrap();
    assert!(cases > 1_000, "{cases}");
}

#[test]
fn a_definition_that_begins_or_ends_with_its_point_of_no_return_is_right() {
    everything(|| subject(vec![switch()]), look).unwrap();
    everything(|| subject(vec![make("first"), switch()]), look).unwrap();
    let after = || Step::forward("after", "clean up", |_: &mut World, _| StepOutcome::done());
    everything(|| subject(vec![switch(), after()]), look).unwrap();
}

#[test]
fn a_definition_that_continues_after_a_restart_is_right() {
    let make = || {
        let definition = TaskDefinition::new("move", vec![make("first"), copy(), make("last")]).unwrap();
        Subject::new(fresh(), definition.continue_after_restart(), json!({}))
    };
    everything(make, look).unwrap();
}

/// Which proofs catch a wrong definition.
fn caught_by(steps: impl Fn() -> Vec<Step<World>>) -> BTreeSet<&'static str> {
    let make = || subject(steps());
    let outcomes: [(&str, Result<usize, ProofFailure>); 5] = [
        ("fail", fail_at_every_step(make, look)),
        ("undo twice", undo_twice(make, look)),
        ("act twice", act_twice(make, look)),
        ("cancel", cancel_at_every_step(make, look)),
        ("crash", crash_at_every_step(make, look)),
    ];
    outcomes.into_iter().filter(|(_, outcome)| outcome.is_err()).map(|(name, _)| name).collect()
}

#[test]
fn a_missing_undo_is_caught() {
    let forgetful = || {
        Step::reading("forgetful", "prepare", |world: &mut World, _| {
            world.things.insert("orphan".into(), "nobody".into());
            StepOutcome::done()
        })
    };
    let caught = caught_by(|| vec![forgetful(), make("last")]);
    assert_eq!(caught, BTreeSet::from(["cancel", "crash", "fail", "undo twice"]));
    let failure = fail_at_every_step(|| subject(vec![forgetful(), make("last")]), look).unwrap_err();
    assert!(failure.to_string().contains("orphan"), "{failure}");
}

#[test]
fn an_undo_that_cannot_be_repeated_is_caught() {
    let caught = caught_by(|| {
        let step = Step::undoable(
            "brittle",
            "prepare",
            |world: &mut World, _| {
                world.things.insert("thing".into(), "task".into());
                StepOutcome::done()
            },
            |world, _| match world.things.remove("thing") {
                Some(_) => UndoOutcome::Done,
                None => UndoOutcome::Failed(failure()),
            },
        );
        vec![step, make("last")]
    });
    assert!(caught.is_superset(&BTreeSet::from(["fail", "undo twice", "crash"])), "{caught:?}");
}

#[test]
fn an_act_that_cannot_be_repeated_is_caught() {
    let caught = caught_by(|| {
        let step = Step::forward("count", "clean up", |world: &mut World, _| {
            world.copied += 1;
            StepOutcome::done()
        });
        vec![switch(), step]
    });
    assert_eq!(caught, BTreeSet::from(["act twice", "crash", "fail"]));
}

#[test]
fn an_undo_that_removes_what_others_made_is_caught() {
    let caught = caught_by(|| {
        let step = Step::undoable(
            "greedy",
            "prepare",
            |_: &mut World, _| StepOutcome::done(),
            |world, _| {
                world.things.remove("old");
                UndoOutcome::Done
            },
        );
        vec![step]
    });
    assert_eq!(caught, BTreeSet::from(["cancel", "crash", "fail", "undo twice"]));
}

#[test]
fn an_undo_that_relies_on_the_acts_output_is_caught() {
    let caught = caught_by(|| {
        let step = Step::undoable(
            "trusting",
            "prepare",
            |world: &mut World, _| {
                world.things.insert("thing".into(), "task".into());
                StepOutcome::Done(json!("thing"))
            },
            |world, view| {
                if let Some(name) = view.output::<String>("trusting").unwrap() {
                    world.things.remove(&name);
                }
                UndoOutcome::Done
            },
        );
        vec![step, make("last")]
    });
    assert!(caught.is_superset(&BTreeSet::from(["fail", "crash"])), "{caught:?}");
}

#[test]
fn a_step_that_never_ends_or_fails_undisturbed_is_caught() {
    let endless = || {
        Step::reading("endless", "wait", |_: &mut World, view| StepOutcome::Pending {
            wake: Wake::At(view.now()),
            percent: 0,
        })
    };
    let failure = everything(|| subject(vec![endless()]), look).unwrap_err();
    assert!(failure.message.contains("did not end"), "{failure}");
    let hopeless =
        || Step::reading("hopeless", "wait", |_: &mut World, _| StepOutcome::Failed(self::failure()));
    assert!(everything(|| subject(vec![hopeless()]), look).is_err());
}
