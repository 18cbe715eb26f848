//! The binaries that are measured, as users build them.

use crate::Result;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// What was built. A benchmark that starts many servers builds them once.
static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);

/// The path of `alluvial`, `compact` or `loadgen`, built in the profile `release`.
///
/// # Errors
/// When it does not build.
pub fn bin(name: &str) -> Result<PathBuf> {
    let mut built = BUILT.lock().map_err(|_| "another thread did not build them")?;
    if let Some(folder) = built.as_ref() {
        return Ok(folder.join(name));
    }
    // target/<profile>/deps/<bench>: the binaries lie beside `deps`.
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(Path::parent).ok_or("the benchmark does not lie in a target folder")?;
    let release = folder.with_file_name("release");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(root).args(["build", "--quiet", "--release"]);
    for (package, binary) in [("daemon", "alluvial"), ("compactor", "compact"), ("loadgen", "loadgen")] {
        build.args(["-p", &format!("alluvial-{package}"), "--bin", binary]);
    }
    // Cargo tells its benchmarks about their package. A build script that looks at this, as ring's does, would be run again, and
    // all that depends on it built again, in each turn of this build and one from a shell.
    let package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    for (name, _) in std::env::vars_os() {
        if package.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            build.env_remove(name);
        }
    }
    if !build.status()?.success() {
        return Err("the binaries do not build".into());
    }
    let path = release.join(name);
    *built = Some(release);
    Ok(path)
}
