//! Helpers by which attribute values are read and set.

use std::str::FromStr;

use crate::adapters::Element;
use crate::codes::MessageKey;
use crate::record::{Assignment, Operation, parse_list};
use crate::refusal::Refusal;

/// An attribute value that is not allowed, with the reason in words.
#[must_use]
pub fn value_invalid(assignment: &Assignment, reason: impl std::fmt::Display) -> Refusal {
    Refusal::new(MessageKey::AttributeValueInvalid)
        .with(&assignment.name)
        .with(&assignment.value)
        .with(reason)
}

/// Refuses `+=` and `-=` where only `=` makes sense.
///
/// # Errors
/// [`MessageKey::AttributeValueInvalid`].
pub fn only_set(assignment: &Assignment) -> Result<(), Refusal> {
    if assignment.operation == Operation::Set {
        Ok(())
    } else {
        Err(value_invalid(assignment, "+= and -= are for lists and quantities"))
    }
}

/// Reads `0` or `1`.
///
/// # Errors
/// [`MessageKey::AttributeValueInvalid`].
pub fn flag(assignment: &Assignment) -> Result<bool, Refusal> {
    only_set(assignment)?;
    match assignment.value.as_str() {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(value_invalid(assignment, "it is 0 or 1")),
    }
}

/// Reads a plain number; refuses signs and blanks.
///
/// # Errors
/// [`MessageKey::AttributeValueInvalid`].
pub fn number<N: FromStr>(assignment: &Assignment) -> Result<N, Refusal> {
    let digits = !assignment.value.is_empty() && assignment.value.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = if digits { assignment.value.parse().ok() } else { None };
    parsed.ok_or_else(|| value_invalid(assignment, "it is a whole number within the attribute's range"))
}

/// Applies `=`, `+=` or `-=` to a quantity.
///
/// # Errors
/// [`MessageKey::AttributeValueInvalid`], also when the result is out of range.
pub fn quantity(present: u64, assignment: &Assignment) -> Result<u64, Refusal> {
    let value: u64 = number(assignment)?;
    let result = match assignment.operation {
        Operation::Set => Some(value),
        Operation::Add => present.checked_add(value),
        Operation::Remove => present.checked_sub(value),
    };
    result.ok_or_else(|| value_invalid(assignment, "the result is out of range"))
}

/// As [`quantity`], for numbers of processors and the like.
///
/// # Errors
/// As [`quantity`].
pub fn small_quantity<N: TryFrom<u64> + Into<u64> + Copy>(
    present: N,
    assignment: &Assignment,
) -> Result<N, Refusal> {
    let result = quantity(present.into(), assignment)?;
    N::try_from(result).map_err(|_| value_invalid(assignment, "the result is out of range"))
}

/// Reads a word of a closed set.
///
/// # Errors
/// [`MessageKey::AttributeValueInvalid`], naming the set.
pub fn word<T: Copy>(
    assignment: &Assignment,
    all: &[T],
    spelling: fn(T) -> &'static str,
) -> Result<T, Refusal> {
    only_set(assignment)?;
    all.iter().copied().find(|&value| spelling(value) == assignment.value).ok_or_else(|| {
        let words: Vec<&str> = all.iter().map(|&value| spelling(value)).collect();
        value_invalid(assignment, format_args!("it is one of {}", words.join(", ")))
    })
}

/// Reads a value, or `none`.
///
/// # Errors
/// [`MessageKey::AttributeValueInvalid`].
pub fn optional<N: FromStr>(assignment: &Assignment) -> Result<Option<N>, Refusal> {
    only_set(assignment)?;
    if assignment.value == "none" { Ok(None) } else { number(assignment).map(Some) }
}

/// The elements of a list value; `none` and nothing are the empty list.
///
/// # Errors
/// [`MessageKey::RecordInvalid`].
pub fn elements(assignment: &Assignment) -> Result<Vec<String>, Refusal> {
    if assignment.value == "none" {
        return Ok(Vec::new());
    }
    parse_list(&assignment.value)
        .map_err(|error| Refusal::new(MessageKey::RecordInvalid).with(capital(&error.to_string())))
}

/// The text with its first letter in upper case, without a final stop.
#[must_use]
pub fn capital(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

/// Applies `=`, `+=` or `-=` to a list of adapters or slots.
///
/// # Errors
/// A value that is not of the grammar, an element that is there already, or one that is not there.
pub fn edit_list<E: Element>(list: &mut Vec<E>, assignment: &Assignment) -> Result<(), Refusal> {
    let parse = |text: &String| E::parse(text).map_err(|error| value_invalid(assignment, error));
    let given = elements(assignment)?.iter().map(parse).collect::<Result<Vec<E>, _>>()?;
    match assignment.operation {
        Operation::Set => *list = given,
        Operation::Add => {
            for element in given {
                if list.iter().any(|present| present.same_place(&element)) {
                    let text = element.print(&|_| String::new());
                    return Err(Refusal::new(MessageKey::ElementPresent).with(&assignment.name).with(text));
                }
                list.push(element);
            }
        }
        Operation::Remove => {
            for element in given {
                let Some(at) = list.iter().position(|present| present.same_place(&element)) else {
                    let text = element.print(&|_| String::new());
                    return Err(Refusal::new(MessageKey::ElementAbsent).with(&assignment.name).with(text));
                };
                list.remove(at);
            }
        }
    }
    Ok(())
}
