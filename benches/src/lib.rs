//! What the benchmarks share: interleaved runs, medians, and a result as a table and as JSON.
//!
//! These machines are noisy: a figure counts only beside another one that was measured in the same run, in turns.

mod measure;

pub use measure::{Contender, compare};
