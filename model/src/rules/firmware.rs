//! Rules of firmware updates: which package a wish means, what an update does, and how it is refused.

use serde::{Deserialize, Serialize};

use crate::codes::MessageKey;
use crate::firmware::{FirmwareImage, FirmwareLevels, FirmwarePackage};
use crate::hardware::FirmwareLevel;
use crate::refusal::Refusal;
use crate::system::{ManagedSystem, SystemState};

/// What `updlic` asks of a managed system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FirmwareOperation {
    /// `-o a`: install and activate within the release, concurrently if the package allows it.
    Activate(Box<FirmwarePackage>),
    /// `-o i`: install; the next power-on or `-o d` activates.
    Install(Box<FirmwarePackage>),
    /// `-o u`: install and activate with a power cycle; another release too.
    Upgrade(Box<FirmwarePackage>),
    /// `-o d`: power cycle to the installed level.
    ActivateDisruptively,
    /// `-o r`: go back to the accepted level.
    Remove,
    /// `-o c`: the installed level becomes the accepted one.
    Accept,
    /// `-o h` (true) and `-o o`: who controls updates.
    Control {
        /// The management console, else an operating system.
        console: bool,
    },
}

/// How the installed level gets to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// It does not.
    None,
    /// While partitions run.
    Concurrent,
    /// By a power cycle of the system.
    PowerCycle,
}

/// What an update does, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwarePlan {
    /// The levels before it; what undoing goes back to.
    pub before: FirmwareLevels,
    /// The temporary side is copied to the permanent one.
    pub accept: bool,
    /// The image that the temporary side gets.
    pub install: Option<FirmwareImage>,
    /// How it is activated.
    pub activation: Activation,
}

/// The refusal of an update: the line with the system, and the reason below it.
#[must_use]
pub fn failed(system: &ManagedSystem, reason: &Refusal) -> Refusal {
    let lines = reason.to_string().lines().map(str::to_owned).collect();
    Refusal::new(MessageKey::FirmwareOperationFailed)
        .with(&system.settings.name)
        .with(&system.hardware.identity)
        .detailed(lines)
}

fn check_state(system: &ManagedSystem) -> Result<(), Refusal> {
    match system.state {
        SystemState::Operating | SystemState::Standby | SystemState::PowerOff => Ok(()),
        state => Err(Refusal::new(MessageKey::FirmwareStateNotAllowed).with(state.word())),
    }
}

fn check_package(
    system: &ManagedSystem,
    levels: &FirmwareLevels,
    package: &FirmwarePackage,
) -> Result<(), Refusal> {
    let type_model = &system.hardware.identity.type_model;
    if !package.is_for(type_model, &levels.activated.level.ec_number) {
        let refusal = Refusal::new(MessageKey::FirmwareWrongMachine);
        return Err(refusal.with(package.name()).with(type_model));
    }
    if package.image.level == levels.temporary.level {
        return Err(Refusal::new(MessageKey::FirmwareNoUpdates));
    }
    if !package.image.newer_than(&levels.temporary) {
        let refusal = Refusal::new(MessageKey::FirmwareDowngrade);
        return Err(refusal.with(&package.image.level).with(&levels.temporary.level));
    }
    Ok(())
}

fn install(levels: &FirmwareLevels, image: &FirmwareImage, activation: Activation) -> FirmwarePlan {
    FirmwarePlan {
        before: levels.clone(),
        // What runs is made the accepted level first, so that there is a way back. A system that runs from the permanent
        // side has that way already.
        accept: levels.runs_temporary
            && levels.activated == levels.temporary
            && levels.permanent != levels.temporary,
        install: Some(image.clone()),
        activation,
    }
}

/// Decides what an operation does. [`FirmwareOperation::Control`] has no plan: it is a setting.
///
/// # Errors
/// [`MessageKey::FirmwareOperationFailed`] with the reason.
pub fn plan(system: &ManagedSystem, operation: &FirmwareOperation) -> Result<Option<FirmwarePlan>, Refusal> {
    plan_of(system, operation).map_err(|reason| failed(system, &reason))
}

fn plan_of(system: &ManagedSystem, operation: &FirmwareOperation) -> Result<Option<FirmwarePlan>, Refusal> {
    check_state(system)?;
    let levels = system.firmware();
    if matches!(operation, FirmwareOperation::Control { .. }) {
        return Ok(None);
    }
    if !levels.console_controls {
        return Err(Refusal::new(MessageKey::FirmwareControlledElsewhere));
    }
    let plan = match operation {
        FirmwareOperation::Activate(package) => {
            check_package(system, levels, package)?;
            if !package.image.same_release(&levels.activated) {
                return Err(Refusal::new(MessageKey::FirmwareReleaseNeedsUpgrade).with(&package.image.level));
            }
            let concurrent = levels.activates_concurrently(&package.image);
            install(levels, &package.image, activation(concurrent))
        }
        FirmwareOperation::Install(package) => {
            check_package(system, levels, package)?;
            if !package.image.same_release(&levels.activated) {
                return Err(Refusal::new(MessageKey::FirmwareReleaseNeedsUpgrade).with(&package.image.level));
            }
            install(levels, &package.image, Activation::None)
        }
        FirmwareOperation::Upgrade(package) => {
            check_package(system, levels, package)?;
            install(levels, &package.image, Activation::PowerCycle)
        }
        _ => maintenance(levels, operation)?,
    };
    Ok(Some(plan))
}

fn activation(concurrent: bool) -> Activation {
    if concurrent { Activation::Concurrent } else { Activation::PowerCycle }
}

fn maintenance(levels: &FirmwareLevels, operation: &FirmwareOperation) -> Result<FirmwarePlan, Refusal> {
    let same = levels.temporary == levels.permanent;
    let mut plan =
        FirmwarePlan { before: levels.clone(), accept: false, install: None, activation: Activation::None };
    match operation {
        FirmwareOperation::Remove if same && levels.activated == levels.permanent => {
            return Err(Refusal::new(MessageKey::FirmwareNothingToRemove));
        }
        FirmwareOperation::Remove => {
            plan.install = (!same).then(|| levels.permanent.clone());
            plan.activation = if levels.activated == levels.permanent {
                Activation::None
            } else {
                activation(levels.activates_concurrently(&levels.permanent))
            };
        }
        FirmwareOperation::Accept if same => {
            return Err(Refusal::new(MessageKey::FirmwareNothingToAccept));
        }
        FirmwareOperation::Accept => {
            // Only what has run is worth keeping for good.
            if levels.activated != levels.temporary {
                return Err(Refusal::new(MessageKey::FirmwareNotActivated).with(&levels.temporary.level));
            }
            plan.accept = true;
        }
        _ => {
            if levels.activated == levels.temporary && levels.deferred.is_none() {
                return Err(Refusal::new(MessageKey::FirmwareNothingToActivate));
            }
            plan.activation = Activation::PowerCycle;
        }
    }
    Ok(plan)
}

/// Which level `-l` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LevelWish {
    /// The highest.
    Latest,
    /// The highest that activates concurrently.
    LatestConcurrent,
    /// A level of the present release.
    Level(u16),
    /// Levels by their full names; the one for this machine counts.
    Named(Vec<FirmwareLevel>),
}

impl LevelWish {
    /// Reads the argument of `-l`: `latest`, `latestconcurrent`, `48`, `48,none` (the second is for the power subsystem,
    /// which these machines do not have), `01SV830_048,01SC860_056`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let level = |text: &str| {
            let digits = (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten()
        };
        match text {
            "latest" => return Some(Self::Latest),
            "latestconcurrent" => return Some(Self::LatestConcurrent),
            _ => {}
        }
        if let Some(level) = level(text) {
            return Some(Self::Level(level));
        }
        if let Some((system, "none")) = text.split_once(',') {
            return level(system).map(Self::Level);
        }
        let named = text.split(',').map(|one| if one.is_ascii() { one.parse().ok() } else { None });
        named.collect::<Option<Vec<FirmwareLevel>>>().map(Self::Named)
    }
}

/// Chooses the package that a wish means, of those that a repository has.
///
/// # Errors
/// [`MessageKey::FirmwareOperationFailed`]: none for this machine, none of that level, or nothing newer.
pub fn choose<'p>(
    system: &ManagedSystem,
    packages: &'p [FirmwarePackage],
    wish: &LevelWish,
    upgrade: bool,
) -> Result<&'p FirmwarePackage, Refusal> {
    chosen(system, packages, wish, upgrade).map_err(|reason| failed(system, &reason))
}

fn chosen<'p>(
    system: &ManagedSystem,
    packages: &'p [FirmwarePackage],
    wish: &LevelWish,
    upgrade: bool,
) -> Result<&'p FirmwarePackage, Refusal> {
    let levels = system.firmware();
    let type_model = &system.hardware.identity.type_model;
    let fits = |package: &&FirmwarePackage| package.is_for(type_model, &levels.activated.level.ec_number);
    let mut fitting: Vec<&FirmwarePackage> = packages.iter().filter(fits).collect();
    fitting.sort_by_key(|package| (package.image.level.release(), package.image.level.level));
    let within = |package: &&&FirmwarePackage| package.image.same_release(&levels.activated);
    let found = match wish {
        LevelWish::Latest if upgrade => fitting.last(),
        LevelWish::Latest => fitting.iter().rfind(within),
        LevelWish::LatestConcurrent => {
            fitting.iter().rfind(|package| levels.activates_concurrently(&package.image))
        }
        LevelWish::Level(level) => {
            let has = |package: &&&FirmwarePackage| package.image.level.level == *level;
            let present = fitting.iter().rfind(|package| within(package) && has(package));
            // An upgrade names a level of the release that it goes to.
            present.or_else(|| fitting.iter().rfind(has).filter(|_| upgrade))
        }
        LevelWish::Named(names) => fitting.iter().rfind(|package| names.contains(&package.image.level)),
    };
    if let Some(package) = found {
        return Ok(package);
    }
    Err(match (wish, packages.first()) {
        (_, Some(other)) if fitting.is_empty() => {
            Refusal::new(MessageKey::FirmwareWrongMachine).with(other.name()).with(type_model)
        }
        (LevelWish::Level(level), _) => Refusal::new(MessageKey::FirmwareLevelNotFound).with(level),
        (LevelWish::Named(names), _) => {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            Refusal::new(MessageKey::FirmwareLevelNotFound).with(names.join(","))
        }
        _ => Refusal::new(MessageKey::FirmwareNoUpdates),
    })
}

#[cfg(test)]
mod tests;
