//! What was typed into a field, and what is wrong with it.

use std::fmt;

/// How many of an article one line may have.
const MOST: u32 = 1000;
/// In characters.
const LONGEST_ARTICLE: usize = 64;
/// In characters.
const LONGEST_NOTE: usize = 200;

/// A field of a form: what it shows, and why that was refused.
#[derive(Clone, Default)]
pub(crate) struct Input {
    pub(crate) value: String,
    pub(crate) error: Option<String>,
}

impl Input {
    pub(crate) fn new(value: impl fmt::Display) -> Self {
        Self {
            value: value.to_string(),
            error: None,
        }
    }

    /// What the value means by this rule; `None` where it is refused, and the field says why.
    pub(crate) fn check<T>(&mut self, rule: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        rule(self.value.trim()).map_err(|error| self.error = Some(error)).ok()
    }
}

pub(crate) fn article(value: &str) -> Result<String, String> {
    match value.chars().count() {
        0 => Err("Enter an article, such as tea".to_owned()),
        1..=LONGEST_ARTICLE => Ok(value.to_owned()),
        _ => Err(format!("Enter at most {LONGEST_ARTICLE} characters")),
    }
}

pub(crate) fn quantity(value: &str) -> Result<u32, String> {
    let number = value.parse().ok().filter(|number| (1..=MOST).contains(number));
    number.ok_or_else(|| format!("Enter a whole number from 1 to {MOST}"))
}

/// `None` for an empty one.
pub(crate) fn note(value: &str) -> Result<Option<String>, String> {
    match value.chars().count() {
        0 => Ok(None),
        1..=LONGEST_NOTE => Ok(Some(value.to_owned())),
        count => Err(format!("Enter at most {LONGEST_NOTE} characters, these are {count}")),
    }
}

pub(crate) fn customer(value: &str) -> Result<u64, String> {
    let number = value.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "Enter a customer number, such as 7".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_stays_and_says_why() {
        let mut input = Input::new(" 1001 ");
        assert_eq!(input.check(quantity), None);
        assert_eq!(input.value, " 1001 ");
        assert_eq!(input.error.as_deref(), Some("Enter a whole number from 1 to 1000"));
        assert_eq!(Input::new(" 1000 ").check(quantity), Some(1000));
    }

    #[test]
    fn each_rule_has_its_bounds() {
        assert_eq!(
            (quantity("0").is_ok(), quantity("1").is_ok(), quantity("x").is_ok()),
            (false, true, false)
        );
        assert_eq!(
            (customer("0").is_ok(), customer("1"), customer("-1").is_ok()),
            (false, Ok(1), false)
        );
        let (fits, too_long) = ("é".repeat(LONGEST_ARTICLE), "é".repeat(LONGEST_ARTICLE + 1));
        assert_eq!(
            (article(&fits), article(&too_long).is_ok(), article("").is_ok()),
            (Ok(fits.clone()), false, false)
        );
        let (fits, too_long) = ("é".repeat(LONGEST_NOTE), "é".repeat(LONGEST_NOTE + 1));
        assert_eq!(
            (note(""), note(&fits), note(&too_long).is_ok()),
            (Ok(None), Ok(Some(fits.clone())), false)
        );
    }
}
