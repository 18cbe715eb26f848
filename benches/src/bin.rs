//! The binaries that are measured, as users build them.

use crate::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The path of `alluvial`, `compact` or `loadgen`, built in the profile `release`.
///
/// # Errors
/// When it does not build.
pub fn bin(name: &str) -> Result<PathBuf> {
    // target/<profile>/deps/<bench>: the binaries lie beside `deps`.
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(Path::parent).ok_or("the benchmark does not lie in a target folder")?;
    let release = folder.with_file_name("release");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let package = match name {
        "alluvial" => "alluvial-daemon",
        "compact" => "alluvial-compactor",
        "loadgen" => "alluvial-loadgen",
        other => return Err(format!("there is no binary {other}").into()),
    };
    build.current_dir(root).args(["build", "--quiet", "--release", "-p", package, "--bin", name]);
    if !build.status()?.success() {
        return Err(format!("{name} does not build").into());
    }
    Ok(release.join(name))
}
