//! From rows to columns, in one pass: [`Builder`] fills columns while it finds out which they are, and widens them in
//! place; [`Schema`] says which columns hold all rows of a plan; [`conform`] brings what was built earlier to them.
//!
//! The rules are on the crate's page. They are chosen so that no value is lost or rounded, and so that the schema and
//! every value are functions of the set of rows: [`Column::join`] is a lattice's, and the text of a value in a text
//! column depends on the value alone.

mod build;
mod column;
mod conform;
mod cursor;
mod fields;
mod fixed;
mod flat;
mod node;
mod pick;
mod render;
mod schema;
mod time;

pub(crate) use build::{Batch, Builder, Refusal};
pub(crate) use column::Bounds;
pub(crate) use conform::{Fit, conform, convert_column, fits};
pub(crate) use fixed::{FixedBuilder, Misfit};
pub(crate) use schema::{Schema, Table};
