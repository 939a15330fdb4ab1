//! The rkyv archive of each field type of a body, and reading it without copying.

use rkyv::rancor::{Fallible, Source};
use rkyv::ser::{Allocator, Writer};
use rkyv::string::{ArchivedString, StringResolver};
use rkyv::vec::{ArchivedVec, VecResolver};
use rkyv::{Archive, Archived, Place, Serialize};

use super::values::{
    EventIds, ExternalFailedCause, IdConflictPolicy, IdReusePolicy, Initiator, ParentClosePolicy,
    RetryState, StartChildFailedCause,
};
use crate::id::RunId;

/// A field's value, for whoever shows all fields of a body alike: [`Body::fields`](crate::Body::fields).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FieldValue<'a> {
    /// A number, such as an event id.
    Number(u32),
    /// Yes or no.
    Flag(bool),
    /// A text.
    Text(&'a str),
    /// A run; `None` for no run.
    Run(Option<RunId>),
    /// Event ids.
    Events(EventIds<'a>),
    /// One of several values with names: the name.
    Choice(String),
}

/// A public field type and its archived form.
pub(super) trait Field<'a>: Sized {
    /// What is archived.
    type Disk: Archive;
    /// The value to archive.
    fn disk(&self) -> Self::Disk;
    /// The value back from its archive; borrowed where it can be.
    fn view(archived: &'a Archived<Self::Disk>) -> Self;
    /// The value to show.
    fn value(&self) -> FieldValue<'a>;
}

impl<'a> Field<'a> for u32 {
    type Disk = u32;
    fn disk(&self) -> u32 {
        *self
    }
    fn view(archived: &'a Archived<u32>) -> Self {
        archived.to_native()
    }
    fn value(&self) -> FieldValue<'a> {
        FieldValue::Number(*self)
    }
}

impl<'a> Field<'a> for RunId {
    type Disk = [u8; 16];
    fn disk(&self) -> [u8; 16] {
        *self.as_bytes()
    }
    fn view(archived: &'a [u8; 16]) -> Self {
        RunId::from_bytes(*archived)
    }
    fn value(&self) -> FieldValue<'a> {
        FieldValue::Run(Some(*self))
    }
}

macro_rules! number_field {
    ($($name:ident)*) => {$(
        impl<'a> Field<'a> for $name {
            type Disk = u8;
            fn disk(&self) -> u8 {
                self.number()
            }
            fn view(archived: &'a u8) -> Self {
                $name::from_number(*archived)
            }
            fn value(&self) -> FieldValue<'a> {
                FieldValue::Choice(format!("{self:?}"))
            }
        }
    )*};
}
number_field!(ParentClosePolicy IdReusePolicy IdConflictPolicy Initiator RetryState StartChildFailedCause ExternalFailedCause);

/// One byte: zero for false, any other for true.
impl<'a> Field<'a> for bool {
    type Disk = u8;
    fn disk(&self) -> u8 {
        u8::from(*self)
    }
    fn view(archived: &'a u8) -> Self {
        *archived != 0
    }
    fn value(&self) -> FieldValue<'a> {
        FieldValue::Flag(*self)
    }
}

impl<'a> Field<'a> for &'a str {
    type Disk = Text<'a>;
    fn disk(&self) -> Text<'a> {
        Text(self)
    }
    fn view(archived: &'a ArchivedString) -> Self {
        archived.as_str()
    }
    fn value(&self) -> FieldValue<'a> {
        FieldValue::Text(self)
    }
}

impl<'a> Field<'a> for EventIds<'a> {
    type Disk = Packed<'a>;
    fn disk(&self) -> Packed<'a> {
        Packed(self.as_bytes())
    }
    fn view(archived: &'a ArchivedVec<u8>) -> Self {
        EventIds::from_bytes(archived.as_slice())
    }
    fn value(&self) -> FieldValue<'a> {
        FieldValue::Events(*self)
    }
}

impl<'a> Field<'a> for Option<RunId> {
    type Disk = OptionalRun;
    fn disk(&self) -> OptionalRun {
        OptionalRun(*self)
    }
    fn view(archived: &'a ArchivedVec<u8>) -> Self {
        // Any other length than 16 reads as "no run", so that one invalid field does not fail the reader.
        <[u8; 16]>::try_from(archived.as_slice()).ok().map(RunId::from_bytes)
    }
    fn value(&self) -> FieldValue<'a> {
        FieldValue::Run(*self)
    }
}

/// Borrowed text, archived as rkyv archives a `String`.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(&'a str);

impl Archive for Text<'_> {
    type Archived = ArchivedString;
    type Resolver = StringResolver;

    fn resolve(&self, resolver: StringResolver, out: Place<ArchivedString>) {
        ArchivedString::resolve_from_str(self.0, resolver, out);
    }
}

impl<S> Serialize<S> for Text<'_>
where
    S: Fallible + Allocator + Writer + ?Sized,
    S::Error: Source,
{
    fn serialize(&self, serializer: &mut S) -> Result<StringResolver, S::Error> {
        ArchivedString::serialize_from_str(self.0, serializer)
    }
}

/// Bytes, archived as rkyv archives a vector of them.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a>(&'a [u8]);

impl Archive for Packed<'_> {
    type Archived = ArchivedVec<u8>;
    type Resolver = VecResolver;

    fn resolve(&self, resolver: VecResolver, out: Place<ArchivedVec<u8>>) {
        ArchivedVec::resolve_from_slice(self.0, resolver, out);
    }
}

impl<S> Serialize<S> for Packed<'_>
where
    S: Fallible + Allocator + Writer + ?Sized,
    S::Error: Source,
{
    fn serialize(&self, serializer: &mut S) -> Result<VecResolver, S::Error> {
        ArchivedVec::serialize_from_slice(self.0, serializer)
    }
}

/// A run id that may be missing: a byte vector of length 16 or 0, so that absence costs 8 bytes.
#[derive(Clone, Copy)]
pub(super) struct OptionalRun(Option<RunId>);

impl OptionalRun {
    fn as_slice(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |run| run.as_bytes())
    }
}

impl Archive for OptionalRun {
    type Archived = ArchivedVec<u8>;
    type Resolver = VecResolver;

    fn resolve(&self, resolver: VecResolver, out: Place<ArchivedVec<u8>>) {
        ArchivedVec::resolve_from_slice(self.as_slice(), resolver, out);
    }
}

impl<S> Serialize<S> for OptionalRun
where
    S: Fallible + Allocator + Writer + ?Sized,
    S::Error: Source,
{
    fn serialize(&self, serializer: &mut S) -> Result<VecResolver, S::Error> {
        ArchivedVec::serialize_from_slice(self.as_slice(), serializer)
    }
}
