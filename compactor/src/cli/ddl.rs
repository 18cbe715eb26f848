//! `compact ddl`: statements that make a table known to an engine.

use alluvial_compactor::{Engine, Location};
use alluvial_runtime::aws::AwsArgs;
use alluvial_runtime::exit::{Exit, Failure};
use clap::{Args, ValueEnum};
use std::io::{self, Write as _};

#[derive(Debug, Args)]
pub(crate) struct DdlArgs {
    /// Where the table is: s3://bucket/prefix or a path
    dst: Location,
    /// Whose words
    #[arg(long, value_name = "ENGINE", default_value = "athena")]
    engine: Words,
    /// The table's name
    #[arg(long, value_name = "NAME", default_value = "events")]
    table: String,
    #[command(flatten)]
    aws: AwsArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Words {
    /// Athena, Glue and Hive
    Athena,
    Spark,
    Duckdb,
}

impl DdlArgs {
    /// Prints the statements.
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let s3 = if self.dst.is_s3() { Some(super::client(&self.aws).await?) } else { None };
        let engine = match self.engine {
            Words::Athena => Engine::Athena,
            Words::Spark => Engine::Spark,
            Words::Duckdb => Engine::DuckDb,
        };
        let text = alluvial_compactor::ddl(&self.dst, s3, engine, &self.table).await.map_err(super::failure)?;
        io::stdout().write_all(text.as_bytes()).map_err(|error| Failure::internal(format!("stdout: {error}")))?;
        Ok(Exit::Done)
    }
}
