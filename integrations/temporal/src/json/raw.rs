//! JSON as it is written: parts of a text, read no further than somebody asks.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of an object, in their order; none if it is no object.
pub(super) fn fields(raw: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str::<Fields<'_>>(raw.get()).ok().map(|fields| fields.0)
}

/// The items of a list; none if it is no list.
pub(super) fn items(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// The text that a string says; none if it is no string.
pub(super) fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

pub(super) fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// The text without the space between its parts. Strings and numbers stay as they are written.
pub(super) fn compact(raw: &RawValue) -> String {
    let mut out = String::with_capacity(raw.get().len());
    let (mut in_string, mut escaped) = (false, false);
    for letter in raw.get().chars() {
        if in_string {
            in_string = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
        } else if letter.is_ascii_whitespace() {
            continue;
        } else {
            in_string = letter == '"';
        }
        out.push(letter);
    }
    out
}

/// How deep objects and lists may stand in each other.
const DEPTH_MAX: usize = 128;

/// Refuses an object that has a key twice, a key that is no Unicode, and what is nested too deep.
pub(super) fn check(raw: &RawValue) -> Result<(), String> {
    check_below(raw, DEPTH_MAX)
}

fn check_below(raw: &RawValue, depth: usize) -> Result<(), String> {
    let below = || depth.checked_sub(1).ok_or(format!("nested more than {DEPTH_MAX} deep"));
    match raw.get().as_bytes().first() {
        Some(b'{') => {
            let (fields, below) = (fields(raw).ok_or("a key is not Unicode")?, below()?);
            let mut seen = HashSet::new();
            for (key, value) in &fields {
                if !seen.insert(key) {
                    return Err(format!("the key {key:?} is there twice"));
                }
                check_below(value, below)?;
            }
            Ok(())
        }
        Some(b'[') => {
            let below = below()?;
            let items = items(raw).unwrap_or_default();
            items.into_iter().try_for_each(|item| check_below(item, below))
        }
        _ => Ok(()),
    }
}

/// What the parser says, without the line and column in it.
pub(crate) fn strip_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(reason, _)| reason.to_owned())
}

struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(Read)
    }
}
