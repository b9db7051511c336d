//! Forms: a command has one for each line of its synopsis. A form says which options it needs and takes, so that the
//! synopsis and the check are one table.

use varan_model::codes::MessageKey;
use varan_model::refusal::Refusal;

use crate::failure::{invalid_parameters, not_supported};
use crate::options::{HELP, OptionDefinition, ParsedOptions};

/// One piece of a form, in the order of the synopsis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartOfForm {
    /// The form is about these values of an option.
    When(&'static str, &'static [&'static str]),
    /// The form is about this option.
    Given(&'static str),
    /// This option is needed.
    Required(&'static str),
    /// Exactly one of these is needed.
    OneOf(&'static [&'static str]),
    /// At least one of these is needed.
    SomeOf(&'static [&'static str]),
    /// At most one of these is taken.
    AtMostOne(&'static [&'static str]),
    /// This option is taken.
    Optional(&'static str),
    /// The first option is taken only together with the second.
    Needs(&'static str, &'static str),
}

use PartOfForm::{AtMostOne, Given, Needs, OneOf, Optional, Required, SomeOf, When};

/// How every listing ends.
const LISTING: &[PartOfForm] = &[Optional("-F"), Needs("--header", "-F")];
/// How a listing ends that takes filters.
const FILTERED: &[PartOfForm] = &[Optional("--filter"), Optional("-F"), Needs("--header", "-F")];

/// One line of a synopsis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Its own pieces.
    parts: &'static [PartOfForm],
    /// The pieces that it has like others of its kind.
    tail: &'static [PartOfForm],
    /// False for a form that a later level brings.
    pub supported: bool,
}

impl Form {
    /// A form.
    #[must_use]
    pub const fn new(parts: &'static [PartOfForm]) -> Self {
        Self { parts, tail: &[], supported: true }
    }

    /// A form that ends like others of its kind.
    #[must_use]
    pub const fn ending(parts: &'static [PartOfForm], tail: &'static [PartOfForm]) -> Self {
        Self { parts, tail, supported: true }
    }

    /// A form of a listing: it takes `-F` and `--header` as well.
    #[must_use]
    pub const fn listing(parts: &'static [PartOfForm]) -> Self {
        Self::ending(parts, LISTING)
    }

    /// A form of a listing that takes `--filter`, `-F` and `--header` as well.
    #[must_use]
    pub const fn filtered(parts: &'static [PartOfForm]) -> Self {
        Self::ending(parts, FILTERED)
    }

    /// A form that a later level brings: its conditions alone decide, all options of the command are taken.
    #[must_use]
    pub const fn later(parts: &'static [PartOfForm]) -> Self {
        Self { parts, tail: &[], supported: false }
    }

    /// All pieces, in the order of the synopsis.
    pub fn parts(&self) -> impl Iterator<Item = &'static PartOfForm> + use<> {
        self.parts.iter().chain(self.tail)
    }

    fn conditions(&self) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
        self.parts().filter_map(|part| match part {
            When(option, values) => Some((*option, *values)),
            _ => None,
        })
    }

    fn matches(&self, options: &ParsedOptions) -> bool {
        let given = |part: &PartOfForm| !matches!(part, Given(name) if !options.has(name));
        self.parts().all(given)
            && self
                .conditions()
                .all(|(option, values)| options.get(option).is_some_and(|value| values.contains(&value)))
    }

    /// Of two forms that match, the one that is about more is meant.
    fn weight(&self) -> usize {
        self.parts().filter(|part| matches!(part, When(..) | Given(_))).count()
    }

    fn takes(&self, option: &str) -> bool {
        !self.supported
            || option == HELP.name
            || self.parts().any(|part| match part {
                When(name, _) | Given(name) | Required(name) | Optional(name) | Needs(name, _) => {
                    *name == option
                }
                OneOf(names) | SomeOf(names) | AtMostOne(names) => names.contains(&option),
            })
    }
}

/// Finds the form that the options are of, and checks them against it.
///
/// # Errors
/// The first kind of fault in this order: no form for a value, a form of a later level, missing options, options that the
/// form does not take, options that exclude each other.
pub(crate) fn check<'f>(
    command: &str,
    forms: &'f [Form],
    options: &ParsedOptions,
) -> Result<&'f Form, Refusal> {
    let matching = forms.iter().filter(|form| form.matches(options));
    let Some(form) = matching.max_by_key(|form| form.weight()) else {
        return Err(invalid_parameters(&[fault(forms, options)]));
    };
    let later = |definition: &&OptionDefinition| !definition.supported;
    if let Some(definition) = options.names().find(later) {
        return Err(not_supported(format_args!("{command} {}", definition.name)));
    }
    if !form.supported {
        let conditions: Vec<String> = form
            .conditions()
            .map(|(option, _)| format!("{option} {}", options.get(option).unwrap_or_default()))
            .collect();
        return Err(not_supported(format_args!("{command} {}", conditions.join(" "))));
    }
    check_missing(form, options)?;
    check_taken(form, forms, options)?;
    check_exclusive(form, options)?;
    Ok(form)
}

/// The option whose value (or absence) leaves no form. Options are looked at in the order of the forms that are left.
fn fault(forms: &[Form], options: &ParsedOptions) -> &'static str {
    let mut left: Vec<&Form> = forms.iter().collect();
    let mut seen: Vec<&'static str> = Vec::new();
    loop {
        let mut conditions = left.iter().flat_map(|form| form.conditions()).map(|(option, _)| option);
        let Some(option) = conditions.find(|option| !seen.contains(option)) else { break };
        let fits = |form: &&Form| {
            form.conditions()
                .filter(|(name, _)| *name == option)
                .all(|(_, values)| options.get(option).is_some_and(|value| values.contains(&value)))
        };
        let narrowed: Vec<&Form> = left.iter().copied().filter(fits).collect();
        if narrowed.is_empty() {
            return option;
        }
        left = narrowed;
        seen.push(option);
    }
    seen.first().copied().unwrap_or("--help")
}

fn check_missing(form: &Form, options: &ParsedOptions) -> Result<(), Refusal> {
    let given = |name: &&&str| options.has(name);
    let mut missing: Vec<String> = Vec::new();
    for part in form.parts() {
        match part {
            Required(name) if !options.has(name) => missing.push((*name).to_owned()),
            OneOf(names) | SomeOf(names) if !names.iter().any(|name| given(&name)) => {
                missing.push(names.join(" or "));
            }
            Needs(name, other) if options.has(name) && !options.has(other) => {
                missing.push((*other).to_owned())
            }
            _ => {}
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(invalid_parameters(&missing)) }
}

fn check_taken(form: &Form, forms: &[Form], options: &ParsedOptions) -> Result<(), Refusal> {
    let Some(stranger) = options.names().find(|definition| !form.takes(definition.name)) else {
        return Ok(());
    };
    let selects = forms.iter().flat_map(Form::conditions).any(|(option, _)| option == stranger.name);
    if selects {
        // The option is one of those that choose a form, and no form has this value of it.
        return Err(invalid_parameters(&[stranger.name]));
    }
    Err(Refusal::new(MessageKey::ParameterUnknown).with(stranger.name))
}

fn check_exclusive(form: &Form, options: &ParsedOptions) -> Result<(), Refusal> {
    for part in form.parts() {
        let (OneOf(names) | AtMostOne(names)) = part else { continue };
        let given: Vec<&str> = names.iter().copied().filter(|name| options.has(name)).collect();
        if given.len() > 1 {
            return Err(Refusal::new(MessageKey::ParametersExclusive).with(given.join(", ")));
        }
    }
    Ok(())
}

/// The line of the synopsis.
pub(crate) fn synopsis(command: &str, form: &Form, definitions: &[OptionDefinition]) -> String {
    let with_value = |name: &str| {
        let definition = definitions.iter().find(|definition| definition.name == name);
        format!("{name}{}", definition.map(|one| one.value.placeholder()).unwrap_or_default())
    };
    let any = |names: &[&str]| names.iter().map(|name| with_value(name)).collect::<Vec<_>>().join(" | ");
    let mut line = command.to_owned();
    for part in form.parts() {
        line.push(' ');
        match part {
            When(name, [value]) => line.push_str(&format!("{name} {value}")),
            When(name, values) => line.push_str(&format!("{name} {{{}}}", values.join(" | "))),
            Given(name) | Required(name) => line.push_str(&with_value(name)),
            OneOf(names) | SomeOf(names) => line.push_str(&format!("{{{}}}", any(names))),
            AtMostOne(names) => line.push_str(&format!("[{}]", any(names))),
            Needs("--header", "-F") => {
                line.pop();
            }
            Optional("-F") => line.push_str(&format!("[{} [--header]]", with_value("-F"))),
            Optional(name) | Needs(name, _) => line.push_str(&format!("[{}]", with_value(name))),
        }
    }
    line.push_str(" [--help]");
    line
}
