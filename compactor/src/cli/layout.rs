//! How the files are laid out: partitions, and what helps readers to skip.

use alluvial_compactor::{PartitionBy, Settings};
use clap::Args;

/// How the files are laid out.
#[derive(Debug, Args)]
pub(crate) struct LayoutArgs {
    /// What rows are partitioned by, in order: `key` (the time in the object's key), FIELD, or FIELD:UNIT for the time
    /// in a field, with UNIT year, month, day or hour; `none` for no folders. outer.inner is a nested field
    #[arg(long, default_value = "key:hour", value_delimiter = ',', value_name = "BY")]
    partition_by: Vec<String>,
    /// Keep fields that rows are partitioned by as columns of the files too
    #[arg(long)]
    write_partition_columns: bool,
}

impl LayoutArgs {
    /// Takes over what was typed.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub(crate) fn apply(&self, settings: &mut Settings) -> Result<(), alluvial_compactor::Error> {
        settings.partition_by = match self.partition_by.as_slice() {
            [none] if none == "none" => Vec::new(),
            by => by.iter().map(|by| by.parse::<PartitionBy>()).collect::<Result<_, _>>()?,
        };
        settings.write_partition_columns = self.write_partition_columns;
        Ok(())
    }
}
