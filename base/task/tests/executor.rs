//! The executor itself: locks, limits, cancelling, retries, recovery, what is shown and what is written.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use varan_task::{
    CancelAnswer, Direction, Executor, Limits, LogError, MemoryTaskLog, Outcome, Step, StepFailure,
    StepOutcome, Stepped, TaskDefinition, TaskError, TaskId, TaskLog, TaskRecord, TaskRequest, TaskStatus,
    UndoOutcome, Wake,
};

/// What happened, and how often a step is still to fail.
#[derive(Default)]
struct World {
    events: Vec<String>,
    failures: BTreeMap<&'static str, u32>,
    panics: bool,
}

impl World {
    fn fails(&mut self, step: &'static str) -> bool {
        match self.failures.get_mut(step) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

fn failure() -> StepFailure {
    StepFailure::new("toy", "the toy failed").with_cause("the test said so")
}

fn act(name: &'static str) -> impl Fn(&mut World, &varan_task::StepView<'_>) -> StepOutcome + Send + Sync {
    move |world, view| {
        world.events.push(format!("{} {name}", view.task()));
        assert!(!world.panics, "the toy panics");
        if world.fails(name) { StepOutcome::Failed(failure()) } else { StepOutcome::done() }
    }
}

fn undoable(name: &'static str) -> Step<World> {
    Step::undoable(name, "prepare", act(name), move |world, view| {
        world.events.push(format!("{} undo {name}", view.task()));
        if world.fails("undo") { UndoOutcome::Failed(failure()) } else { UndoOutcome::Done }
    })
}

fn definitions() -> Vec<TaskDefinition<World>> {
    let wait = Step::reading("wait", "wait", |_: &mut World, view| {
        if view.is_cancelled() {
            return StepOutcome::Failed(failure());
        }
        let at_latest = view.now() + Duration::from_secs(60);
        StepOutcome::Pending { wake: Wake::Signal { name: "go".into(), at_latest }, percent: 50 }
    });
    let until = Step::reading("until", "wait", |_: &mut World, view| {
        let goal = Duration::from_secs(100);
        let percent = u8::try_from(view.now().as_secs().min(100)).unwrap();
        if view.now() >= goal {
            StepOutcome::done()
        } else {
            StepOutcome::Pending { wake: Wake::At(goal), percent }
        }
    });
    vec![
        TaskDefinition::new("plain", vec![undoable("one"), undoable("two"), undoable("three")]).unwrap(),
        TaskDefinition::new(
            "decided",
            vec![
                undoable("one"),
                Step::point_of_no_return("point", "switch over", act("point")),
                Step::forward("after", "clean up", act("after")),
            ],
        )
        .unwrap(),
        TaskDefinition::new("waiting", vec![undoable("one"), wait]).unwrap(),
        TaskDefinition::new("timed", vec![undoable("one"), until]).unwrap(),
    ]
}

fn request(kind: &str, locks: &[&str]) -> TaskRequest {
    let locks = locks.iter().map(|lock| (*lock).to_owned()).collect();
    TaskRequest { kind: kind.into(), input: json!(null), locks, key: None }
}

fn open(log: &MemoryTaskLog) -> Executor<World, MemoryTaskLog> {
    Executor::recover(log.clone(), definitions(), Limits::default()).unwrap()
}

fn drain<L: TaskLog>(executor: &mut Executor<World, L>, world: &mut World, mut now: Duration) {
    for _ in 0..10_000 {
        match executor.step(now, world).unwrap() {
            Stepped::Called(_) => {}
            Stepped::IdleUntil(wake) => now = wake,
            Stepped::Idle => return,
        }
    }
    panic!("does not come to rest");
}

fn status<L: TaskLog>(executor: &Executor<World, L>, task: TaskId) -> TaskStatus {
    executor.task(task).unwrap().status
}

#[test]
fn a_task_of_n_steps_costs_n_plus_two_writes_and_one_more_for_its_point_of_no_return() {
    #[derive(Default)]
    struct Counting(usize);
    impl TaskLog for Counting {
        fn read(&mut self) -> Result<Vec<TaskRecord>, LogError> {
            Ok(Vec::new())
        }
        fn append(&mut self, _records: &[TaskRecord]) -> Result<(), LogError> {
            self.0 += 1;
            if self.0 > 5 { Err(LogError::Stopped) } else { Ok(()) }
        }
        fn replace(&mut self, _records: &[TaskRecord]) -> Result<(), LogError> {
            Ok(())
        }
    }
    let mut executor = Executor::recover(Counting::default(), definitions(), Limits::default()).unwrap();
    let mut world = World::default();
    let task = executor.start(request("plain", &[])).unwrap();
    drain(&mut executor, &mut world, Duration::ZERO);
    assert_eq!(status(&executor, task), TaskStatus::Finished(Outcome::Succeeded));
    // The sixth write fails, and nothing runs any more.
    assert!(matches!(executor.start(request("plain", &[])), Err(TaskError::Log(_))));
    assert!(matches!(executor.step(Duration::ZERO, &mut world), Err(TaskError::Stopped)));
    assert!(matches!(executor.cancel(task), Err(TaskError::Stopped)));

    let log = MemoryTaskLog::default();
    let mut executor = open(&log);
    let task = executor.start(request("decided", &[])).unwrap();
    drain(&mut executor, &mut world, Duration::ZERO);
    let intents = executor.history(task).unwrap();
    assert!(matches!(&intents[3], TaskRecord::Intent { step, .. } if step == "point"), "{intents:?}");
    assert_eq!(executor.task(task).unwrap().percent, 100);
}

#[test]
fn tasks_with_a_common_lock_run_one_after_another_and_others_in_turns() {
    let mut executor = open(&MemoryTaskLog::default());
    let mut world = World::default();
    for locks in [&["a", "b"][..], &["b", "c"], &["c"], &["d"]] {
        executor.start(request("plain", locks)).unwrap();
    }
    drain(&mut executor, &mut world, Duration::ZERO);
    // 2 waits for 1; 3 wants a lock that 2 waits for, and must not overtake it; 4 is free.
    let expected = [
        "1 one", "4 one", "1 two", "4 two", "1 three", "2 one", "4 three", "2 two", "2 three", "3 one",
        "3 two", "3 three",
    ];
    assert_eq!(world.events, expected);
}

#[test]
fn limits_hold() {
    let limits = Limits { active_tasks: 2, queued_tasks: 3, assignments: 1, ..Limits::default() };
    let mut executor: Executor<World, _> =
        Executor::recover(MemoryTaskLog::default(), definitions(), limits).unwrap();
    for _ in 0..3 {
        executor.start(request("plain", &[])).unwrap();
    }
    assert!(matches!(executor.start(request("plain", &[])), Err(TaskError::QueueFull(3))));
    let assignment = executor.next_assignment(Duration::ZERO).unwrap().unwrap();
    assert!(executor.next_assignment(Duration::ZERO).unwrap().is_none(), "one assignment is out");
    assert_eq!(executor.tasks().filter(|task| task.status == TaskStatus::Running).count(), 2);
    let report = assignment.perform(&mut World::default());
    executor.complete(Duration::ZERO, report).unwrap();
    let again = assignment.perform(&mut World::default());
    assert!(matches!(executor.complete(Duration::ZERO, again), Err(TaskError::UnknownAssignment(_))));
    assert!(matches!(executor.start(request("unheard of", &[])), Err(TaskError::UnknownKind(_))));
    assert!(matches!(executor.cancel(TaskId(99)), Err(TaskError::UnknownTask(_))));
    assert!(matches!(executor.retry(TaskId(1)), Err(TaskError::NotInRecovery(_))));
}

#[test]
fn a_repeated_request_gets_the_same_task() {
    let log = MemoryTaskLog::default();
    let mut executor = open(&log);
    let keyed = TaskRequest { key: Some("request 7".into()), ..request("plain", &[]) };
    let task = executor.start(keyed.clone()).unwrap();
    assert_eq!(executor.start(keyed.clone()).unwrap(), task);
    drain(&mut executor, &mut World::default(), Duration::ZERO);
    let mut executor = open(&log);
    assert_eq!(executor.start(keyed).unwrap(), task, "also after a restart");
}

#[test]
fn a_failed_step_is_undone_in_reverse_order_with_the_reason_kept() {
    let mut executor = open(&MemoryTaskLog::default());
    let mut world = World { failures: BTreeMap::from([("three", 1)]), ..World::default() };
    let task = executor.start(request("plain", &["a"])).unwrap();
    drain(&mut executor, &mut world, Duration::ZERO);
    assert_eq!(world.events, ["1 one", "1 two", "1 three", "1 undo three", "1 undo two", "1 undo one"]);
    let summary = executor.task(task).unwrap();
    assert_eq!(summary.status, TaskStatus::Finished(Outcome::Failed));
    assert_eq!(summary.failure, Some(failure()));
    assert_eq!(summary.percent, 66, "what was reached stays, and it is not 100");
    assert!(executor.is_idle());
}

#[test]
fn an_undo_that_keeps_failing_needs_recovery_and_keeps_its_locks() {
    let log = MemoryTaskLog::default();
    let mut executor = open(&log);
    let mut world = World { failures: BTreeMap::from([("two", 1), ("undo", 5)]), ..World::default() };
    let task = executor.start(request("plain", &["a"])).unwrap();
    let waiting = executor.start(request("plain", &["a"])).unwrap();
    drain(&mut executor, &mut world, Duration::ZERO);
    assert_eq!(world.events.iter().filter(|event| *event == "1 undo two").count(), 5);
    for executor in [&executor, &open(&log)] {
        assert_eq!(status(executor, task), TaskStatus::NeedsRecovery(Direction::Undo));
        assert_eq!(executor.task(task).unwrap().failure, Some(failure()));
        assert_eq!(status(executor, waiting), TaskStatus::Queued);
    }
    let mut executor = open(&log);
    assert_eq!(executor.cancel(task).unwrap(), CancelAnswer::AlreadyUndoing);
    executor.retry(task).unwrap();
    drain(&mut executor, &mut world, Duration::ZERO);
    assert_eq!(status(&executor, task), TaskStatus::Finished(Outcome::Failed));
    assert_eq!(status(&executor, waiting), TaskStatus::Finished(Outcome::Succeeded));
}

#[test]
fn a_step_after_the_point_of_no_return_is_tried_again_and_then_needs_recovery() {
    for (failures, expected) in
        [(4, TaskStatus::Finished(Outcome::Succeeded)), (5, TaskStatus::NeedsRecovery(Direction::Forward))]
    {
        let mut executor = open(&MemoryTaskLog::default());
        let mut world = World { failures: BTreeMap::from([("after", failures)]), ..World::default() };
        let task = executor.start(request("decided", &["a"])).unwrap();
        drain(&mut executor, &mut world, Duration::ZERO);
        assert_eq!(status(&executor, task), expected);
        if failures == 5 {
            assert_eq!(executor.cancel(task).unwrap(), CancelAnswer::TooLate);
            executor.abandon(task).unwrap();
            assert_eq!(status(&executor, task), TaskStatus::Finished(Outcome::Abandoned));
            assert_eq!(executor.cancel(task).unwrap(), CancelAnswer::AlreadyFinished);
        }
    }
}

#[test]
fn a_panic_is_undone_before_the_point_and_needs_recovery_from_there_on() {
    for (calls, expected) in [
        (0, TaskStatus::Finished(Outcome::Failed)),
        (1, TaskStatus::NeedsRecovery(Direction::Forward)),
        (2, TaskStatus::NeedsRecovery(Direction::Forward)),
    ] {
        let mut executor = open(&MemoryTaskLog::default());
        let mut world = World::default();
        let task = executor.start(request("decided", &[])).unwrap();
        for _ in 0..calls {
            executor.step(Duration::ZERO, &mut world).unwrap();
        }
        world.panics = true;
        executor.step(Duration::ZERO, &mut world).unwrap();
        world.panics = false;
        drain(&mut executor, &mut world, Duration::ZERO);
        assert_eq!(status(&executor, task), expected, "after {calls} calls");
        let failure = executor.task(task).unwrap().failure.unwrap();
        assert_eq!(
            (failure.code.as_str(), failure.cause.as_deref()),
            ("task_step_panicked", Some("the toy panics"))
        );
        if calls > 0 {
            executor.retry(task).unwrap();
            drain(&mut executor, &mut world, Duration::ZERO);
            assert_eq!(status(&executor, task), TaskStatus::Finished(Outcome::Succeeded));
        }
    }
}

#[test]
fn a_waiting_step_is_called_when_it_is_due_or_signalled_also_when_the_signal_comes_early() {
    let mut executor = open(&MemoryTaskLog::default());
    let mut world = World::default();
    let task = executor.start(request("waiting", &[])).unwrap();
    executor.step(Duration::ZERO, &mut world).unwrap();
    executor.step(Duration::ZERO, &mut world).unwrap();
    assert_eq!(executor.task(task).unwrap().percent, 75);
    let minute = Duration::from_secs(60);
    assert_eq!(executor.step(Duration::ZERO, &mut world).unwrap(), Stepped::IdleUntil(minute));
    executor.signal("other");
    assert_eq!(executor.step(Duration::ZERO, &mut world).unwrap(), Stepped::IdleUntil(minute));
    executor.signal("go");
    let assignment = executor.next_assignment(Duration::ZERO).unwrap().unwrap();
    executor.signal("go");
    let report = assignment.perform(&mut world);
    executor.complete(Duration::ZERO, report).unwrap();
    assert_eq!(executor.step(Duration::ZERO, &mut world).unwrap(), Stepped::Called(task), "came while out");
    assert_eq!(executor.step(minute, &mut world).unwrap(), Stepped::Called(task), "due");
}

#[test]
fn progress_within_a_step_survives_a_restart_of_the_program() {
    let log = MemoryTaskLog::default();
    let definition = definitions().pop().unwrap().continue_after_restart();
    let open = || Executor::recover(log.clone(), vec![definition.clone()], Limits::default()).unwrap();
    let mut executor = open();
    let mut world = World::default();
    let task = executor.start(request("timed", &[])).unwrap();
    executor.step(Duration::from_secs(40), &mut world).unwrap();
    executor.step(Duration::from_secs(40), &mut world).unwrap();
    assert_eq!(executor.task(task).unwrap().percent, 70);
    let mut executor = open();
    assert_eq!(executor.task(task).unwrap().percent, 70);
    executor.step(Duration::from_secs(10), &mut world).unwrap();
    assert_eq!(executor.task(task).unwrap().percent, 70, "never backwards");
    drain(&mut executor, &mut world, Duration::from_secs(10));
    assert_eq!(executor.task(task).unwrap().percent, 100);
}

#[test]
fn cancelling_is_answered_by_where_the_task_is() {
    let mut executor = open(&MemoryTaskLog::default());
    let mut world = World::default();
    let first = executor.start(request("decided", &["a"])).unwrap();
    let queued = executor.start(request("plain", &["a"])).unwrap();
    executor.step(Duration::ZERO, &mut world).unwrap();
    assert_eq!(executor.cancel(queued).unwrap(), CancelAnswer::Accepted);
    assert_eq!(status(&executor, queued), TaskStatus::Finished(Outcome::Cancelled));
    let point = executor.next_assignment(Duration::ZERO).unwrap().unwrap();
    assert_eq!(executor.cancel(first).unwrap(), CancelAnswer::TooLate, "it is at work");
    let report = point.perform(&mut world);
    executor.complete(Duration::ZERO, report).unwrap();
    assert_eq!(executor.cancel(first).unwrap(), CancelAnswer::TooLate);
    drain(&mut executor, &mut world, Duration::ZERO);
    assert_eq!(executor.cancel(first).unwrap(), CancelAnswer::AlreadyFinished);

    let waiting = executor.start(request("waiting", &[])).unwrap();
    executor.step(Duration::ZERO, &mut world).unwrap();
    executor.step(Duration::ZERO, &mut world).unwrap();
    assert_eq!(executor.cancel(waiting).unwrap(), CancelAnswer::Accepted, "while it waits");
    assert_eq!(executor.cancel(waiting).unwrap(), CancelAnswer::AlreadyUndoing);
    drain(&mut executor, &mut world, Duration::ZERO);
    assert_eq!(status(&executor, waiting), TaskStatus::Finished(Outcome::Cancelled));
}

#[test]
fn a_restart_undoes_before_the_point_and_asks_the_point_itself_when_it_was_at_work() {
    let log = MemoryTaskLog::default();
    let mut world = World::default();
    let mut executor = open(&log);
    let task = executor.start(request("decided", &[])).unwrap();
    executor.step(Duration::ZERO, &mut world).unwrap();
    // The step before the point is done; the point was not given out yet.
    let before = MemoryTaskLog::default();
    before.clone().append(&log.records()).unwrap();
    let mut restarted = open(&before);
    drain(&mut restarted, &mut world, Duration::ZERO);
    assert_eq!(status(&restarted, task), TaskStatus::Finished(Outcome::Interrupted));
    // Now it is given out, and the program ends.
    executor.next_assignment(Duration::ZERO).unwrap().unwrap();
    for (failures, expected) in [(0, Outcome::Succeeded), (1, Outcome::Failed)] {
        let copy = MemoryTaskLog::default();
        copy.clone().append(&log.records()).unwrap();
        let mut restarted = open(&copy);
        world.failures.insert("point", failures);
        drain(&mut restarted, &mut world, Duration::ZERO);
        assert_eq!(status(&restarted, task), TaskStatus::Finished(expected));
    }
}

#[test]
fn a_task_whose_definition_is_gone_or_changed_waits_for_a_person() {
    let log = MemoryTaskLog::default();
    let mut executor = open(&log);
    let mut world = World::default();
    let task = executor.start(request("plain", &["a"])).unwrap();
    executor.step(Duration::ZERO, &mut world).unwrap();
    let changed = TaskDefinition::new("plain", vec![undoable("other")]).unwrap();
    for definitions in [vec![], vec![changed]] {
        let copy = MemoryTaskLog::default();
        copy.clone().append(&log.records()).unwrap();
        let mut executor = Executor::recover(copy, definitions, Limits::default()).unwrap();
        drain(&mut executor, &mut world, Duration::ZERO);
        assert_eq!(status(&executor, task), TaskStatus::NeedsRecovery(Direction::Forward));
        assert_eq!(executor.task(task).unwrap().failure.unwrap().code, "task_definition_changed");
        assert!(matches!(executor.retry(task), Err(TaskError::UnknownKind(_))));
        executor.abandon(task).unwrap();
        assert!(executor.is_idle());
    }
}

#[test]
fn old_tasks_are_forgotten_the_log_stays_short_and_numbers_are_not_used_again() {
    let log = MemoryTaskLog::default();
    let limits = Limits { finished_tasks: 3, records_between_compactions: 50, ..Limits::default() };
    let mut world = World::default();
    let mut last = TaskId(0);
    for round in 0..20 {
        let mut executor = Executor::recover(log.clone(), definitions(), limits).unwrap();
        for _ in 0..10 {
            let task = executor.start(request("plain", &[])).unwrap();
            assert!(task > last, "round {round}");
            last = task;
        }
        drain(&mut executor, &mut world, Duration::ZERO);
        assert_eq!(executor.tasks().count(), 3);
        assert!(log.records().len() <= 2 * 10 * 8, "{} records", log.records().len());
    }
}

#[test]
fn random_sequences_keep_every_promise() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let log = MemoryTaskLog::default();
        let mut executor = open(&log);
        let mut world = World::default();
        let mut now = Duration::ZERO;
        let mut shown: BTreeMap<TaskId, u8> = BTreeMap::new();
        for _ in 0..200 {
            now += Duration::from_secs(random.u64(0..3));
            match random.u32(0..20) {
                0 => executor = open(&log),
                1 => {
                    let tasks: Vec<TaskId> = executor.tasks().map(|task| task.id).collect();
                    if let Some(task) = random.choice(tasks) {
                        executor.cancel(task).unwrap();
                    }
                }
                2..=4 => {
                    let kind = random.choice(["plain", "decided", "timed"]).unwrap();
                    let lock = random.choice(["a", "b", "c"]).unwrap();
                    executor.start(request(kind, &[lock])).unwrap();
                }
                5 => {
                    let step = random.choice(["one", "three", "point", "after", "undo"]).unwrap();
                    world.failures.insert(step, random.u32(0..3));
                }
                _ => {
                    executor.step(now, &mut world).unwrap();
                }
            }
            for task in executor.tasks() {
                let percent = shown.entry(task.id).or_default();
                assert!(task.percent >= *percent, "seed {seed}: task {} fell", task.id);
                let succeeded = task.status == TaskStatus::Finished(Outcome::Succeeded);
                assert_eq!(task.percent == 100, succeeded, "seed {seed}: {task:?}");
                *percent = task.percent;
            }
        }
        drain(&mut executor, &mut world, now);
        assert!(executor.is_idle(), "seed {seed}");
        let reopened = open(&log);
        for (kept, read) in executor.tasks().zip(reopened.tasks()) {
            assert_eq!(kept, read, "seed {seed}: memory and log differ");
        }
    }
}

#[test]
fn assignments_may_be_performed_by_many_threads() {
    use std::sync::Mutex;
    let executor = Mutex::new(open(&MemoryTaskLog::default()));
    for number in 0..50 {
        let lock = format!("lock {}", number % 7);
        executor.lock().unwrap().start(request(["plain", "decided"][number % 2], &[&lock])).unwrap();
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut world = World::default();
                while !executor.lock().unwrap().is_idle() {
                    let next = executor.lock().unwrap().next_assignment(Duration::ZERO).unwrap();
                    match next {
                        Some(assignment) => {
                            let report = assignment.perform(&mut world);
                            executor.lock().unwrap().complete(Duration::ZERO, report).unwrap();
                        }
                        None => std::thread::yield_now(),
                    }
                }
            });
        }
    });
    let executor = executor.into_inner().unwrap();
    assert!(executor.tasks().all(|task| task.status == TaskStatus::Finished(Outcome::Succeeded)));
}

#[test]
fn an_output_that_does_not_fit_into_the_log_fails_its_step() {
    struct Narrow(MemoryTaskLog);
    impl TaskLog for Narrow {
        fn read(&mut self) -> Result<Vec<TaskRecord>, LogError> {
            self.0.read()
        }
        fn append(&mut self, records: &[TaskRecord]) -> Result<(), LogError> {
            match records {
                [TaskRecord::Done { output, .. }, ..] if output.is_string() => {
                    Err(LogError::TooLarge { size: 2, limit: 1 })
                }
                _ => self.0.append(records),
            }
        }
        fn replace(&mut self, records: &[TaskRecord]) -> Result<(), LogError> {
            self.0.replace(records)
        }
    }
    let wide = |_: &mut World, _: &varan_task::StepView<'_>| StepOutcome::Done(json!("wide"));
    let definition = |kind: &str, steps| TaskDefinition::new(kind, steps).unwrap();
    let definitions = vec![
        definition("undone", vec![undoable("one"), Step::reading("wide", "prepare", wide)]),
        definition("stuck", vec![Step::point_of_no_return("wide", "switch over", wide)]),
    ];
    let mut executor =
        Executor::recover(Narrow(MemoryTaskLog::default()), definitions, Limits::default()).unwrap();
    let mut world = World::default();
    let undone = executor.start(request("undone", &[])).unwrap();
    let stuck = executor.start(request("stuck", &[])).unwrap();
    drain(&mut executor, &mut world, Duration::ZERO);
    assert_eq!(status(&executor, undone), TaskStatus::Finished(Outcome::Failed));
    assert_eq!(world.events, ["1 one", "1 undo one"]);
    assert_eq!(status(&executor, stuck), TaskStatus::NeedsRecovery(Direction::Forward));
    assert_eq!(executor.task(stuck).unwrap().failure.unwrap().code, "task_record_too_large");
}
