//! Guests' memory as the host sees it: one limit for all engines of a process, what a guest leaves goes back.

mod common;

use common::{World, arena, disk, specification};
use varan_contract::engine::{EngineError, Generation, PartitionEngine, Personality, StopRequest};

const PAGE: u64 = 4096;

#[test]
fn two_frames_share_one_limit_and_a_power_loss_frees_only_its_own_pages() {
    let arena = arena(300 * PAGE);
    let (left, right) = (World::with_arena(1, arena.clone()), World::with_arena(2, arena.clone()));
    let (one, two) =
        (specification(1, Personality::Aix, Some(disk())), specification(2, Personality::Aix, Some(disk())));
    left.boot(&one);
    right.boot(&two);
    let (first, second) = (left.terminal(one.partition), right.terminal(two.partition));
    first.login("root", "abc123");
    first.command("dirty start 200 1000");
    left.seconds(1);
    assert_eq!(first.command("dirty verify"), "0 wrong pages after 1000 pages written\n");
    second.login("root", "abc123");
    second.command("dirty start 200 1000");
    right.seconds(1);
    // 300 pages, two of firmware, 200 of the other frame's guest.
    assert_eq!(second.command("dirty verify"), "0 wrong pages after 98 pages written\n");
    assert_eq!(left.engine.arena_usage(), right.engine.arena_usage());
    assert_eq!(arena.usage().used_bytes, 300 * PAGE);
    let third = specification(3, Personality::Aix, Some(disk()));
    assert!(matches!(left.engine.start(third), Err(EngineError::NoRoom(_))));

    left.engine.power_loss();
    assert_eq!(arena.usage().used_bytes, 99 * PAGE, "the other frame's guest keeps its pages");
    assert_eq!(second.command("dirty verify"), "0 wrong pages after 98 pages written\n");
    right.seconds(1);
    assert_eq!(arena.usage().used_bytes, 201 * PAGE, "the stalled guest goes on");
    assert!(second.command("dirty verify").starts_with("0 wrong pages"));
}

#[test]
fn what_a_stopped_guest_held_goes_back_to_the_host() {
    let arena = arena(1 << 30);
    let world = World::with_arena(1, arena.clone());
    let guests: Vec<_> =
        (1..=8).map(|number| specification(number, Personality::Linux, Some(disk()))).collect();
    for guest in &guests {
        world.boot(guest);
    }
    let idle = arena.usage();
    assert_eq!((idle.used_bytes, idle.reserved_bytes), (8 * PAGE, 8 * PAGE), "one page each");
    // All write at the same time, so that their pages lie among each other's.
    for guest in &guests {
        let dialogue = world.terminal(guest.partition);
        dialogue.login("root", "abc123");
        dialogue.command("dirty start 2000 2000");
    }
    world.seconds(2);
    assert_eq!(arena.usage().used_bytes, 8 * 2_001 * PAGE);
    for (stopped, guest) in guests.iter().enumerate() {
        world.engine.stop(guest.partition, StopRequest::Immediate, false).expect("on");
        world.seconds(1);
        let usage = arena.usage();
        let left = 7 - stopped as u64;
        assert_eq!(usage.used_bytes, left * 2_001 * PAGE);
        assert!(usage.reserved_bytes - usage.used_bytes <= 2_001 * PAGE, "{usage:?} after {stopped}");
    }
    assert!(arena.usage().reserved_bytes <= 64 * PAGE, "{:?}", arena.usage());
}

#[test]
fn an_admitted_guest_holds_its_room_until_it_is_powered_on_or_dismissed() {
    let arena = arena(PAGE);
    let world = World::with_arena(1, arena.clone());
    let one = specification(1, Personality::Aix, Some(disk()));
    let two = specification(2, Personality::Aix, Some(disk()));
    let generation = Generation(1);
    assert!(matches!(world.engine.power_on(one.partition, generation), Err(EngineError::NotRunning(_))));
    for end in 0..3 {
        world.engine.admit(one.clone()).expect("room");
        world.engine.admit(one.clone()).expect("a repeat is harmless");
        assert_eq!(arena.usage().used_bytes, PAGE);
        assert!(matches!(world.engine.admit(two.clone()), Err(EngineError::NoRoom(_))));
        world.seconds(1);
        assert!(world.take_events().is_empty(), "it is off");
        assert!(world.engine.statistics(one.partition).is_err());
        match end {
            0 => world.engine.dismiss(one.partition, generation),
            1 => world.engine.power_loss(),
            _ => {
                world.engine.power_on(one.partition, generation).expect("admitted");
                world.engine.power_on(one.partition, generation).expect("a repeat is harmless");
                world.engine.dismiss(one.partition, generation);
                world.seconds(200);
                assert!(world.engine.statistics(one.partition).is_ok());
                return;
            }
        }
        assert_eq!(arena.usage().used_bytes, 0);
    }
}
