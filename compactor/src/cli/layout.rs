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
    /// Fields that the rows of a file are sorted by: FIELD or FIELD:desc. Helps readers to skip; costs a second encoding
    #[arg(long, value_delimiter = ',', value_name = "BY")]
    sort: Vec<String>,
    /// Fields that get a bloom filter, for look-ups of single values
    #[arg(long, value_delimiter = ',', value_name = "FIELD")]
    bloom: Vec<String>,
    /// Leave out rows that have the same values of these fields as a row before them, within what one run compacts.
    /// Without FIELDs, the position columns of the daemon
    #[arg(long, value_delimiter = ',', value_name = "FIELD", num_args = 0.., require_equals = true,
        default_missing_value = "_shard,_sequence,_sub_sequence")]
    dedupe: Vec<String>,
    /// Leave out gzip members whose records others have, in this run or in those before it, by the labels that the
    /// daemon gives them. Streams of one name, from several accounts or regions, need applications of several names
    #[arg(long)]
    dedupe_members: bool,
    /// Split the bytes of doubles where that is smaller. Spark's vectorised reader cannot read such columns
    #[arg(long)]
    byte_stream_split: bool,
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
        settings.sort = self.sort.iter().map(|by| by.parse()).collect::<Result<_, _>>()?;
        settings.bloom = self.bloom.iter().map(|field| field.parse()).collect::<Result<_, _>>()?;
        settings.dedupe = self.dedupe.iter().map(|field| field.parse()).collect::<Result<_, _>>()?;
        settings.dedupe_members = self.dedupe_members;
        settings.byte_stream_split = self.byte_stream_split;
        settings.write_partition_columns = self.write_partition_columns;
        Ok(())
    }
}
