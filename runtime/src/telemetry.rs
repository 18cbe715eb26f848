//! Logs: to stderr, as text for people or one JSON object a line for machines.

use clap::{Args, ValueEnum};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people; colours only on a terminal and without `NO_COLOR`.
    Text,
    /// One JSON object a line.
    Json,
}

/// The options for logs that every command has.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Shape of the log lines on stderr
    #[arg(long, value_enum, default_value = "text", global = true, value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// What to log: a level, or filters such as `info,alluvial_consumer=debug`
    #[arg(long, default_value = "info", env = "ALLUVIAL_LOG", global = true, value_name = "FILTER")]
    pub log: String,
}

impl LogArgs {
    /// Sends the process's logs to stderr. Later calls change nothing.
    pub fn init(&self) {
        self.init_with_default(&self.log);
    }

    /// As [`LogArgs::init`], with `quiet` in place of the default filter where the user gave none.
    pub fn init_or(&self, quiet: &str) {
        self.init_with_default(if self.log == "info" { quiet } else { &self.log });
    }

    fn init_with_default(&self, filter: &str) {
        let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        // A second call in one process (tests) keeps the first subscriber, which is what it should do.
        match self.log_format {
            LogFormat::Json => builder.json().flatten_event(true).try_init().ok(),
            LogFormat::Text => {
                let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
                builder.with_ansi(colour).with_target(false).try_init().ok()
            }
        };
    }
}
