//! The demo's folder: an earlier demo is replaced, anything else is left alone.

use alluvial_runtime::exit::Failure;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Says that a folder was made by the demo, and may be replaced by it.
const MARK: &str = ".alluvial-demo";

/// A demo's folder, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    /// Where it is, links followed.
    pub(super) path: PathBuf,
    _lock: File,
}

/// Makes an empty folder at `path`.
///
/// # Errors
/// [`alluvial_runtime::exit::Exit::Usage`] when something else lies there, a demo is running in it, or it cannot be written.
pub(super) fn prepare(path: &Path) -> Result<Folder, Failure> {
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
    let mut mark = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(MARK))
        .map_err(|error| failed("write to the folder", error))?;
    if mark.try_lock().is_err() {
        return Err(Failure::usage(format!(
            "--dir {}: a demo is running in it; stop it or name another folder",
            path.display()
        )));
    }
    for entry in path.read_dir().map_err(|error| failed("read the folder", error))? {
        let entry = entry.map_err(|error| failed("read the folder", error))?.path();
        if entry.ends_with(MARK) {
            continue;
        }
        let removed = if entry.is_dir() { std::fs::remove_dir_all(&entry) } else { std::fs::remove_file(&entry) };
        removed.map_err(|error| failed("remove the earlier demo", error))?;
    }
    mark.write_all(b"Made by `alluvial demo`, which replaces this folder when it runs again.\n")
        .map_err(|error| failed("write to the folder", error))?;
    let path = path.canonicalize().map_err(|error| failed("find the folder", error))?;
    Ok(Folder { path, _lock: mark })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_demo_is_replaced_and_a_strangers_folder_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let demo = dir.path().join("demo");
        let running = prepare(&demo).unwrap();
        std::fs::create_dir(demo.join("s3")).unwrap();
        assert!(prepare(&demo).unwrap_err().to_string().contains("running"));
        assert!(demo.join("s3").exists(), "a demo that runs keeps its data");
        drop(running);
        prepare(&demo).unwrap();
        assert!(!demo.join("s3").exists());

        let strangers = dir.path().join("strangers");
        std::fs::create_dir(&strangers).unwrap();
        std::fs::write(strangers.join("thesis.txt"), "years of work").unwrap();
        let error = prepare(&strangers).unwrap_err().to_string();
        assert!(error.contains("strangers") && strangers.join("thesis.txt").exists(), "{error}");
    }
}
