//! From the bytes of an object to rows, without I/O: bytes are pushed in, events come out.
//!
//! [`Decoder`] finds the segments of an object (gzip members and plain text) and checks them; [`Rows`] cuts their
//! text into rows. Both keep only what they still need, whatever the size of the object.

mod decoder;
mod fault;
mod foreign;
mod gzip;
mod rows;

pub(crate) use decoder::{Decoder, Event};
pub(crate) use fault::{Loss, RowFault};
pub(crate) use rows::{Origin, Row, Rows};
