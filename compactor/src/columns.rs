//! From rows to columns: [`Shape`] sees every row and says which columns hold them all, [`Builder`] fills them.
//!
//! The rules are on the crate's page. They are chosen so that no value is lost or rounded, and so that the schema is
//! a function of the set of rows: [`Shape::merge`] is commutative and associative.

mod build;
mod schema;
mod shape;

pub(crate) use build::Builder;
pub(crate) use schema::Schema;
pub(crate) use shape::{Bounds, Shape};
