//! The values that a body and a message can exchange without loss.

use kinlog::event::{ExternalFailedCause, Initiator, RetryState, StartChildFailedCause};
use kinlog::{IdReusePolicy, ParentClosePolicy, RunId};
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

impl<'m> Slot<'m> for bool {
    fn take(value: &'m Value) -> Option<Self> {
        matches!(value, Value::Bool(true)).then_some(true)
    }

    fn value(self, _: &Kind) -> Option<Value> {
        self.then_some(Value::Bool(true))
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
                let Value::EnumNumber(number) = value else { return None };
                let number = u8::try_from(*number).ok().filter(|number| *number != 0)?;
                Some($name::from_number(number))
            }

            fn value(self, _: &Kind) -> Option<Value> {
                let number = self.number();
                (number != 0).then(|| Value::EnumNumber(number.into()))
            }
        }
    )*};
}
numbered!(ExternalFailedCause IdReusePolicy Initiator ParentClosePolicy RetryState StartChildFailedCause);
