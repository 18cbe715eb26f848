//! `alluvial check`: the settings file, without AWS.

use crate::{config, console};
use alluvial_runtime::exit::{Exit, Failure};
use std::path::Path;

/// Checks a settings file with the code that `run` uses.
pub(crate) fn check(path: &Path) -> Result<Exit, Failure> {
    let checked = config::read(path, "check")?;
    let (source, pipeline) = (&checked.consumer, &checked.pipeline);
    console::out(&format!(
        "{}: ok\n  source  stream {} as {}, leases in {}\n  pack    {} bytes or {:?}\n  sink    firehose {}\n",
        path.display(),
        source.stream,
        source.consumer_name,
        checked.lease_table,
        console::grouped(u64::try_from(pipeline.pack.target_bytes).unwrap_or(u64::MAX)),
        pipeline.max_wait,
        pipeline.delivery_stream,
    ))?;
    Ok(Exit::Done)
}
