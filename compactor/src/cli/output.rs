//! What the files are like: all that a plan fixes.

use super::layout::LayoutArgs;
use super::machine::{MachineArgs, parse_bytes};
use super::schema::SchemaArgs;
use alluvial_compactor::{Error, Location, Settings};
use clap::Args;

/// What the files are like.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Size of a Parquet file, about, as in 256MiB
    #[arg(long, default_value = "256MiB", value_parser = parse_bytes, value_name = "SIZE")]
    target_size: usize,
    /// How hard zstd tries, 1 to 22
    #[arg(long, default_value_t = 3, value_name = "LEVEL")]
    zstd_level: i32,
    /// JSON bytes of one row; a longer one is quarantined
    #[arg(long, default_value = "64MiB", value_parser = parse_bytes, value_name = "SIZE")]
    max_row: usize,
    /// Decompressed bytes of one object; the rest of a larger one is quarantined
    #[arg(long, default_value = "64GiB", value_parser = parse_bytes, value_name = "SIZE")]
    max_object: usize,
    #[command(flatten)]
    schema: SchemaArgs,
    #[command(flatten)]
    layout: LayoutArgs,
}

impl OutputArgs {
    /// What was typed, in all.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub(crate) fn settings(&self, src: &Location, dst: &Location, machine: &MachineArgs) -> Result<Settings, Error> {
        let mut settings = Settings::new(src.clone(), dst.clone());
        settings.target_file_bytes = self.target_size;
        settings.zstd_level = self.zstd_level;
        settings.max_row_bytes = self.max_row;
        settings.max_object_bytes = self.max_object as u64;
        machine.apply(&mut settings);
        self.schema.apply(&mut settings)?;
        self.layout.apply(&mut settings)?;
        Ok(settings)
    }
}
