//! A schema that is given, and what happens to values that do not fit.

use alluvial_compactor::{Error, FixedSchema, Mismatch, Settings};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Which columns there are.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// The columns and their types, in place of those that are found: Arrow JSON, or DDL of Athena, Spark or DuckDB
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// What happens to values that --schema has no place for: they go to the JSON text column _overflow; or their rows
    /// are quarantined; or the run stops
    #[arg(long, value_name = "POLICY", default_value = "overflow", requires = "schema")]
    schema_mismatch: Policy,
    /// Make timestamps of strings that are all 2026-11-23T05:00:00Z, or all so with 3 or 6 digits of a fraction
    #[arg(long, conflicts_with = "schema")]
    timestamps: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Policy {
    Overflow,
    Quarantine,
    Reject,
}

impl SchemaArgs {
    /// Takes over what was typed.
    ///
    /// # Errors
    /// The file cannot be read, or is no schema.
    pub(crate) fn apply(&self, settings: &mut Settings) -> Result<(), Error> {
        settings.timestamps = self.timestamps;
        settings.mismatch = match self.schema_mismatch {
            Policy::Overflow => Mismatch::Overflow,
            Policy::Quarantine => Mismatch::Quarantine,
            Policy::Reject => Mismatch::Reject,
        };
        if let Some(file) = &self.schema {
            let named = |what: &dyn std::fmt::Display| Error::Usage(format!("--schema {}: {what}", file.display()));
            let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
            settings.schema = Some(FixedSchema::parse(&text).map_err(|error| named(&error))?);
        }
        Ok(())
    }
}
