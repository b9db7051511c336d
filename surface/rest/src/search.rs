//! The expressions of `/search/(...)`: `(PartitionName=='lpar1')`, `(SystemName==a)`, `(PartitionID!=3)`, joined by `&&` or
//! `||` from left to right. Values may be quoted either way or not at all: clients do all three.

use varan_model::codes::MessageKey;

use crate::failure::Failure;
use crate::resource::Object;

/// Longest expression in bytes.
const LENGTH_MAX: usize = 4_096;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparison {
    key: String,
    value: String,
    equal: bool,
}

/// A search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    first: Comparison,
    /// With `true` both must hold.
    further: Vec<(bool, Comparison)>,
}

fn wrong() -> Failure {
    Failure::new(500, MessageKey::RestSearchInvalid)
}

/// The end of the value that begins `text`, which is after a parenthesis: quotes hide parentheses.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (None, ')') => return Some(at),
            _ => {}
        }
    }
    None
}

fn comparison(text: &str) -> Option<Comparison> {
    let at = text.find(['=', '!'])?;
    let (key, rest) = text.split_at(at);
    let (equal, value) = match (rest.strip_prefix("=="), rest.strip_prefix("!=")) {
        (Some(value), _) => (true, value),
        (None, Some(value)) => (false, value),
        (None, None) => return None,
    };
    let (key, value) = (key.trim(), value.trim());
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    // A blank ends a value that is not quoted, and nothing may follow.
    let bare = || Some(value).filter(|value| !value.contains(char::is_whitespace));
    let value = quoted('\'').or_else(|| quoted('"')).or_else(bare)?;
    let named = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    named.then(|| Comparison { key: key.to_owned(), value: value.to_owned(), equal })
}

/// Reads `(comparison)` and returns what follows.
fn group(text: &str) -> Option<(Comparison, &str)> {
    let inner = text.trim_start().strip_prefix('(')?;
    let end = closing(inner)?;
    Some((comparison(&inner[..end])?, inner[end + 1..].trim_start()))
}

impl Search {
    /// Reads an expression.
    ///
    /// # Errors
    /// 500 `Unable to parse expression.`, as the real one answers.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        if text.len() > LENGTH_MAX {
            return Err(wrong());
        }
        let (first, mut rest) = group(text).ok_or_else(wrong)?;
        let mut further = Vec::new();
        while !rest.is_empty() {
            let both = rest.starts_with("&&");
            let next = rest.strip_prefix("&&").or_else(|| rest.strip_prefix("||")).ok_or_else(wrong)?;
            let (comparison, after) = group(next).ok_or_else(wrong)?;
            further.push((both, comparison));
            rest = after;
        }
        Ok(Self { first, further })
    }

    /// Whether an object is found.
    ///
    /// # Errors
    /// When the type has no such key.
    pub fn matches(&self, object: &dyn Object) -> Result<bool, Failure> {
        let holds = |one: &Comparison| {
            let value = object.search_key(&one.key).ok_or_else(wrong)?;
            Ok::<_, Failure>((value == one.value) == one.equal)
        };
        let mut found = holds(&self.first)?;
        for (both, comparison) in &self.further {
            let next = holds(comparison)?;
            found = if *both { found && next } else { found || next };
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Groups;
    use crate::xml::XmlWriter;

    struct Named(&'static str);

    impl Object for Named {
        fn kind(&self) -> &'static str {
            "Named"
        }
        fn id(&self) -> String {
            String::new()
        }
        fn path(&self) -> String {
            String::new()
        }
        fn version(&self) -> String {
            String::new()
        }
        fn write(&self, _: &mut XmlWriter, _: Groups) {}
        fn search_key(&self, key: &str) -> Option<String> {
            (key == "Name").then(|| self.0.to_owned())
        }
    }

    #[test]
    fn expressions_find_what_they_say() {
        for (expression, found) in [
            ("(Name=='lpar1')", true),
            ("(Name==lpar1)", true),
            ("(Name==\"lpar1\")", true),
            ("(Name!='lpar1')", false),
            ("(Name=='lpar(1)')", false),
            (" ( Name == lpar1 ) && (Name!='x')", true),
            ("(Name=='x')||(Name=='lpar1')", true),
        ] {
            let search = Search::parse(expression).expect(expression);
            assert_eq!(search.matches(&Named("lpar1")).ok(), Some(found), "{expression}");
        }
        assert!(Search::parse("(Other=='x')").expect("search").matches(&Named("x")).is_err());
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for expression in [
            "",
            "Name==x",
            "(Name=x)",
            "(==x)",
            "(Name==x",
            "(Name=='x)",
            "(Name==x)y",
            "(Name==x)&&",
            "(N me==x)",
            "(Name==not activated)",
        ] {
            assert!(Search::parse(expression).is_err(), "{expression}");
        }
        assert!(Search::parse(&format!("(Name=={})", "x".repeat(5_000))).is_err());
    }
}
