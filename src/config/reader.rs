//! A small typed reader over the spanned TOML tree. Whatever does not fit is recorded, and reading goes on, so that
//! one pass finds every problem. Knows types and tables in general, none of the keys.

use super::hint;
use super::problem::{At, Problems, Span};
use super::schema::Schema;
use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::de::{DeInteger, DeTable, DeValue};

/// A value of the tree, and the key that it stands under, by itself or in a list.
#[derive(Clone, Copy)]
pub(super) struct Item<'t> {
    pub(super) key: &'t str,
    pub(super) in_list: bool,
    pub(super) value: &'t DeValue<'t>,
    pub(super) at: Span,
}

/// How a value of the tree is read as `Self`. `None`: it cannot be, and a problem says why.
pub(super) trait Read<'t>: Sized {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<Self>;
}

/// What can be written as one word, in quotes or as a bare number.
pub(super) trait Scalar: Sized {
    /// A value to show to whoever wrote a list or a table.
    const EXAMPLE: &'static str;
    fn from_text(text: &str) -> Result<Self, Wrong>;
}

/// What is wrong with a word.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    what: String,
    hint: Option<Hint>,
}

#[derive(Debug, PartialEq, Eq)]
enum Hint {
    /// A value to write instead, as TOML.
    Write(String),
    Say(String),
}

impl Wrong {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Wrong { what: what.into(), hint: None }
    }

    /// With text to write instead.
    pub(super) fn write(self, text: impl Display) -> Self {
        Wrong { hint: Some(Hint::Write(format!("{:?}", text.to_string()))), ..self }
    }

    /// With a number, a list or a table to write instead.
    pub(super) fn write_bare(self, value: impl Display) -> Self {
        Wrong { hint: Some(Hint::Write(value.to_string())), ..self }
    }

    /// With advice.
    pub(super) fn say(self, advice: impl Into<String>) -> Self {
        Wrong { hint: Some(Hint::Say(advice.into())), ..self }
    }

    /// What is wrong, with the advice, for a place where there is no line to show.
    pub(super) fn into_text(self) -> String {
        match self.hint {
            Some(Hint::Say(advice)) => format!("{}: {advice}", self.what),
            _ => self.what,
        }
    }

    #[cfg(test)]
    pub(super) fn into_what(self) -> String {
        self.what
    }
}

impl<'t> Item<'t> {
    /// Records that the value cannot be read, with what to write under the same key.
    pub(super) fn wrong(&self, wrong: Wrong, problems: &mut Problems) {
        let hint = wrong.hint.map(|hint| match hint {
            Hint::Write(value) if self.in_list => format!("write: {value}"),
            Hint::Write(value) => format!("write: {} = {value}", self.key),
            Hint::Say(advice) => advice,
        });
        problems.error(self.at, wrong.what, hint.unwrap_or_default());
    }

    pub(super) fn is_table(&self) -> bool {
        matches!(self.value, DeValue::Table(_))
    }

    pub(super) fn is_bool(&self) -> bool {
        matches!(self.value, DeValue::Boolean(_))
    }

    pub(super) fn is_empty_list(&self) -> bool {
        matches!(self.value, DeValue::Array(list) if list.is_empty())
    }

    /// How many values it is, as a list or by itself.
    pub(super) fn len(&self) -> usize {
        if let DeValue::Array(list) = self.value { list.len() } else { 1 }
    }

    /// The one of `choices` that the text names. `others` tells what could stand there besides.
    pub(super) fn choice<T: Clone>(self, choices: &[(&str, T)], others: &str, problems: &mut Problems) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let word = self.value.as_str().unwrap_or_default();
        let found = choices.iter().find(|(name, _)| *name == word);
        if found.is_none() {
            let wrong = match self.value {
                DeValue::String(_) => Wrong::new(format!("unknown {} {word:?}", self.key)),
                _ => Wrong::new(format!("{} cannot be {}", self.key, self.type_name())),
            };
            let advice = match hint::closest(word, &names) {
                Some(name) => format!("did you mean {name:?}?"),
                None => format!("one of: {}{others}", names.join(", ")),
            };
            self.wrong(wrong.say(advice), problems);
        }
        found.map(|(_, choice)| choice.clone())
    }

    /// What a problem calls its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }
}

impl<'t, T: Scalar> Read<'t> for T {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<T> {
        let text = match item.value {
            DeValue::String(text) => Ok(Cow::Borrowed(text.as_ref())),
            DeValue::Integer(number) => match integer(number) {
                Some(number) => Ok(Cow::Owned(number.to_string())),
                None => Err(Wrong::new(format!("{number} is too large"))),
            },
            _ => Err(Wrong::new(format!("{} cannot be {}", item.key, item.type_name())).write_bare(T::EXAMPLE)),
        };
        text.and_then(|text| T::from_text(&text)).map_err(|wrong| item.wrong(wrong, problems)).ok()
    }
}

impl<'t> Read<'t> for bool {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<bool> {
        if let DeValue::Boolean(value) = item.value {
            return Some(*value);
        }
        let wrong = Wrong::new(format!("{} is {}, not true or false", item.key, item.type_name()));
        item.wrong(wrong.write_bare("true"), problems);
        None
    }
}

/// A list, or one value for a list of one. Holds the elements that could be read.
impl<'t, T: Read<'t>> Read<'t> for Vec<At<T>> {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<Vec<At<T>>> {
        let DeValue::Array(list) = item.value else {
            return Some(vec![At { value: T::read(item, problems)?, at: item.at }]);
        };
        let items = list.iter().map(|entry| Item {
            key: item.key,
            in_list: true,
            value: entry.get_ref(),
            at: entry.span().into(),
        });
        Some(items.filter_map(|item| Some(At { value: T::read(item, problems)?, at: item.at })).collect())
    }
}

/// A table whose keys are all known.
pub(super) struct Table<'t> {
    pub(super) at: Span,
    schema: &'static Schema,
    entries: &'t DeTable<'t>,
    /// What keys that are unknown were meant to be.
    meant: Vec<&'static str>,
}

impl<'t> Table<'t> {
    /// The table in `item`; every key that `schema` does not have is a problem.
    pub(super) fn read(item: Item<'t>, schema: &'static Schema, problems: &mut Problems) -> Option<Table<'t>> {
        let DeValue::Table(entries) = item.value else {
            let what = format!("{} is {}, not a table", schema.name, item.type_name());
            item.wrong(Wrong::new(what).say(format!("known in it: {}", schema.keys.join(", "))), problems);
            return None;
        };
        Some(Table::of(entries, item.at, schema, problems))
    }

    pub(super) fn of(entries: &'t DeTable<'t>, at: Span, schema: &'static Schema, problems: &mut Problems) -> Self {
        let mut meant = Vec::new();
        for key in entries.keys().filter(|key| !schema.keys.contains(&key.get_ref().as_ref())) {
            let unknown = hint::unknown_key(key.get_ref(), schema);
            problems.error(key.span().into(), unknown.what, unknown.hint);
            meant.extend(unknown.meant);
        }
        Table { at, schema, entries, meant }
    }

    /// Records that none of `keys` was written. A misspelt key is not missing: its own problem says what to write.
    pub(super) fn lacks(&self, keys: &[&str], what: impl Into<String>, hint: &str, problems: &mut Problems) {
        if !self.meant.iter().any(|key| keys.contains(key)) {
            problems.missing(self.at, what, hint);
        }
    }

    /// What problems call it.
    pub(super) fn name(&self) -> &'static str {
        self.schema.name
    }

    /// What was written under `key`.
    pub(super) fn item(&self, key: &'static str) -> Option<Item<'t>> {
        debug_assert!(self.schema.keys.contains(&key), "{} has no key {key}", self.schema.name);
        self.entries.get(key).map(|entry| Item { key, in_list: false, value: entry.get_ref(), at: entry.span().into() })
    }

    /// Where `key` itself was written.
    pub(super) fn key_at(&self, key: &'static str) -> Option<Span> {
        self.entries.get_key_value(key).map(|(key, _)| key.span().into())
    }

    /// The value of `key`, and where it is.
    pub(super) fn get<T: Read<'t>>(&self, key: &'static str, problems: &mut Problems) -> Option<At<T>> {
        let item = self.item(key)?;
        Some(At { value: T::read(item, problems)?, at: item.at })
    }

    /// The value of `key`, else `default`.
    pub(super) fn get_or<T: Read<'t>>(&self, key: &'static str, default: T, problems: &mut Problems) -> T {
        self.get(key, problems).map_or(default, |found| found.value)
    }

    /// The time to wait under `key`, else `default`. Zero is not a wait: whatever it is for would end at once.
    pub(super) fn wait(&self, key: &'static str, default: Duration, problems: &mut Problems) -> Duration {
        let Some(found) = self.get::<Duration>(key, problems) else { return default };
        if found.value.is_zero() {
            let hint = format!("write the longest wait that is fine, as {key} = \"1h\"");
            problems.error(found.at, format!("{key} cannot be zero: everything would end at once"), hint);
        }
        found.value
    }

    /// The number under `key`, which must be in `range`.
    pub(super) fn number<N>(
        &self,
        key: &'static str,
        range: RangeInclusive<N>,
        problems: &mut Problems,
    ) -> Option<At<N>>
    where
        N: TryFrom<i64> + PartialOrd + Display + Copy,
    {
        let item = self.item(key)?;
        let checked = match item.value {
            DeValue::Integer(number) => {
                let fits = integer(number).and_then(|number| N::try_from(number).ok()).filter(|n| range.contains(n));
                fits.ok_or_else(|| {
                    Wrong::new(format!("{key} is {number}; it can be {} to {}", range.start(), range.end()))
                })
            }
            _ => {
                let wrong = Wrong::new(format!("{key} is {}, not a whole number", item.type_name()));
                let meant = item.value.as_str().filter(|text| text.parse::<i64>().is_ok());
                Err(meant.into_iter().fold(wrong, Wrong::write_bare))
            }
        };
        checked.map_err(|wrong| item.wrong(wrong, problems)).ok().map(|value| At { value, at: item.at })
    }
}

fn integer(number: &DeInteger) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}
