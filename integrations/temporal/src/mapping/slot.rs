//! The values that a body and a message can exchange without loss.

use kinlog::{IdReusePolicy, Initiator, ParentClosePolicy, RunId};
use prost_reflect::{Kind, Value};

/// A field of a body. Its default stands for a field that the message does not have.
pub(super) trait Slot<'m>: Copy + Default + PartialEq {
    /// The slot for `value`, if [`Slot::value`] gives exactly `value` back.
    fn take(value: &'m Value) -> Option<Self>;

    /// The value for a field of this kind; none for the default.
    fn value(self, kind: &Kind) -> Option<Value>;
}

impl<'m> Slot<'m> for &'m str {
    fn take(value: &'m Value) -> Option<Self> {
        value.as_str().filter(|text| !text.is_empty())
    }

    fn value(self, _: &Kind) -> Option<Value> {
        (!self.is_empty()).then(|| Value::String(self.to_owned()))
    }
}

impl<'m> Slot<'m> for u32 {
    fn take(value: &'m Value) -> Option<Self> {
        let number = match value {
            Value::I64(number) => u32::try_from(*number).ok()?,
            Value::I32(number) => u32::try_from(*number).ok()?,
            _ => return None,
        };
        Some(number).filter(|number| *number != 0)
    }

    fn value(self, kind: &Kind) -> Option<Value> {
        match kind {
            _ if self == 0 => None,
            Kind::Int32 => i32::try_from(self).ok().map(Value::I32),
            _ => Some(Value::I64(i64::from(self))),
        }
    }
}

/// A flag, or an enum that bodies keep as its number.
impl<'m> Slot<'m> for u8 {
    fn take(value: &'m Value) -> Option<Self> {
        match value {
            Value::Bool(flag) => flag.then_some(1),
            Value::EnumNumber(number) => u8::try_from(*number).ok().filter(|number| *number != 0),
            _ => None,
        }
    }

    fn value(self, kind: &Kind) -> Option<Value> {
        match kind {
            _ if self == 0 => None,
            Kind::Bool => Some(Value::Bool(true)),
            _ => Some(Value::EnumNumber(i32::from(self))),
        }
    }
}

/// A run, if it is written as run ids are printed: 36 characters in lower case.
impl<'m> Slot<'m> for RunId {
    fn take(value: &'m Value) -> Option<Self> {
        let text = value.as_str()?;
        let run: RunId = text.parse().ok()?;
        (!run.is_nil() && run.to_string() == text).then_some(run)
    }

    fn value(self, _: &Kind) -> Option<Value> {
        (!self.is_nil()).then(|| Value::String(self.to_string()))
    }
}

impl<'m> Slot<'m> for Option<RunId> {
    fn take(value: &'m Value) -> Option<Self> {
        RunId::take(value).map(Some)
    }

    fn value(self, kind: &Kind) -> Option<Value> {
        self.and_then(|run| run.value(kind))
    }
}

macro_rules! numbered {
    ($($name:ident)*) => {$(
        impl<'m> Slot<'m> for $name {
            fn take(value: &'m Value) -> Option<Self> {
                u8::take(value).map($name::from_number)
            }

            fn value(self, kind: &Kind) -> Option<Value> {
                self.number().value(kind)
            }
        }
    )*};
}
numbered!(IdReusePolicy Initiator ParentClosePolicy);
