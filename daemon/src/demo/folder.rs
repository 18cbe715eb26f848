//! The demo's folder: an earlier demo is replaced, anything else is left alone.

use alluvial_runtime::exit::Failure;
use std::path::{Path, PathBuf};

/// Says that a folder was made by the demo, and may be replaced by it.
const MARK: &str = ".alluvial-demo";

/// Makes an empty folder at `path` and returns where it is, links followed.
///
/// # Errors
/// [`alluvial_runtime::exit::Exit::Usage`] when something else lies there, or the folder cannot be written.
pub(super) fn prepare(path: &Path) -> Result<PathBuf, Failure> {
    let failed = |action: &str, error: std::io::Error| {
        Failure::usage(format!("--dir {}: cannot {action}: {error}", path.display()))
    };
    std::fs::create_dir_all(path).map_err(|error| failed("make the folder", error))?;
    let empty = path.read_dir().map_err(|error| failed("read the folder", error))?.next().is_none();
    if !empty && !path.join(MARK).is_file() {
        return Err(Failure::usage(format!(
            "--dir {}: the folder is not empty and no earlier demo made it; name another one",
            path.display()
        )));
    }
    for entry in path.read_dir().map_err(|error| failed("read the folder", error))? {
        let entry = entry.map_err(|error| failed("read the folder", error))?.path();
        let removed = if entry.is_dir() { std::fs::remove_dir_all(&entry) } else { std::fs::remove_file(&entry) };
        removed.map_err(|error| failed("remove the earlier demo", error))?;
    }
    std::fs::write(path.join(MARK), "Made by `alluvial demo`, which replaces this folder when it runs again.\n")
        .map_err(|error| failed("write to the folder", error))?;
    path.canonicalize().map_err(|error| failed("find the folder", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_demo_is_replaced_and_a_strangers_folder_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let demo = dir.path().join("demo");
        prepare(&demo).unwrap();
        std::fs::create_dir(demo.join("s3")).unwrap();
        prepare(&demo).unwrap();
        assert!(!demo.join("s3").exists());

        let strangers = dir.path().join("strangers");
        std::fs::create_dir(&strangers).unwrap();
        std::fs::write(strangers.join("thesis.txt"), "years of work").unwrap();
        let error = prepare(&strangers).unwrap_err().to_string();
        assert!(error.contains("strangers") && strangers.join("thesis.txt").exists(), "{error}");
    }
}
