//! Fields that are no messages: numbers, texts, bytes and flags, as proto3 JSON writes them.

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use prost_reflect::{Kind, MapKey, Value};
use serde_json::value::RawValue;

use super::raw::string;

const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// The value of a field of this kind.
pub(super) fn read(kind: &Kind, raw: &RawValue) -> Result<Value, String> {
    let value = match kind {
        Kind::String => string(raw).map(Value::String),
        Kind::Bytes => string(raw).and_then(|text| base64(&text)).map(|it| Value::Bytes(it.into())),
        Kind::Bool => match raw.get() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Double => float(raw).map(Value::F64),
        #[allow(clippy::cast_possible_truncation, reason = "a float has fewer digits")]
        Kind::Float => float(raw).map(|it| Value::F32(it as f32)),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => integer(raw).map(Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => integer(raw).map(Value::I64),
        Kind::Uint32 | Kind::Fixed32 => integer(raw).map(Value::U32),
        Kind::Uint64 | Kind::Fixed64 => integer(raw).map(Value::U64),
        Kind::Message(_) | Kind::Enum(_) => None,
    };
    value.ok_or_else(|| {
        let found: String = raw.get().chars().take(100).collect();
        format!("expected {}, found {found}", name(kind))
    })
}

/// The key of a map entry.
pub(super) fn key(kind: &Kind, text: String) -> Result<MapKey, String> {
    let raw = || RawValue::from_string(text.clone()).map_err(|error| error.to_string());
    match kind {
        Kind::String => Ok(MapKey::String(text)),
        _ => read(kind, &raw()?)?.into_map_key().ok_or(format!("{text:?} is no key")),
    }
}

/// What base64 says, in either alphabet and with or without padding.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// An integer may be a text, and may have a fraction of nothing.
fn integer<T: TryFrom<i128>>(raw: &RawValue) -> Option<T> {
    let text = string(raw).unwrap_or_else(|| raw.get().to_owned());
    let whole = text.parse::<i128>().ok().or_else(|| {
        let number = text.parse::<f64>().ok()?;
        // Whole numbers beyond this are not told apart by their digits.
        #[allow(clippy::cast_possible_truncation, reason = "it is whole and small")]
        (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i128)
    })?;
    T::try_from(whole).ok()
}

fn float(raw: &RawValue) -> Option<f64> {
    match string(raw).as_deref() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(text) => text.parse().ok().filter(|it: &f64| it.is_finite()),
        None => raw.get().parse().ok().filter(|it: &f64| it.is_finite()),
    }
}

fn name(kind: &Kind) -> &'static str {
    match kind {
        Kind::String => "a string",
        Kind::Bytes => "base64",
        Kind::Bool => "true or false",
        Kind::Double | Kind::Float => "a number",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "an integer of 32 bits",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "an integer of 64 bits",
        Kind::Uint32 | Kind::Fixed32 => "a natural number of 32 bits",
        Kind::Uint64 | Kind::Fixed64 => "a natural number of 64 bits",
        Kind::Message(_) => "an object",
        Kind::Enum(_) => "a name or number",
    }
}
