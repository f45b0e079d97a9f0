//! Finding traces below a path.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// How many directories deep traces are looked for.
const DEPTH_MAX: u32 = 12;
/// How many directories are looked into before giving up.
const DIRECTORIES_MAX: usize = 100_000;

/// The trace directories at or below `path`, sorted: `path` itself, one of an LTTng session
/// (`kernel`, `ust/uid/1000/64-bit`), its rotated chunks below `archives`, or any number of traces
/// in a directory that somebody collected. `path` may also be a `metadata` file. Symbolic links
/// are followed, each directory once.
///
/// # Errors
/// [`Error::NoTrace`] where there is none, [`Error::Io`] where `path` itself cannot be read.
pub fn discover(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let io = |source| Error::Io {
        action: "open",
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(io)?.is_file() {
        if path.file_name().is_some_and(|name| name == "metadata") {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            return Ok(vec![parent.unwrap_or(Path::new(".")).to_owned()]);
        }
        return Err(Error::NoTrace {
            path: path.to_owned(),
            why: "it is a file",
        });
    }
    fs::read_dir(path).map_err(io)?;
    let mut search = Search::default();
    search.directory(path, 0);
    search.found.sort();
    if search.found.is_empty() {
        let why = if search.seen.len() >= DIRECTORIES_MAX {
            "no file named `metadata` in the first 100,000 directories below it"
        } else {
            "there is no file named `metadata` in it or in the 12 levels of directories below"
        };
        return Err(Error::NoTrace {
            path: path.to_owned(),
            why,
        });
    }
    Ok(search.found)
}

#[derive(Default)]
struct Search {
    found: Vec<PathBuf>,
    seen: HashSet<PathBuf>,
}

impl Search {
    fn directory(&mut self, path: &Path, depth: u32) {
        let Ok(real) = path.canonicalize() else {
            return;
        };
        if depth > DEPTH_MAX || self.seen.len() >= DIRECTORIES_MAX || !self.seen.insert(real) {
            return;
        }
        if path.join("metadata").is_file() {
            self.found.push(path.to_owned());
            return;
        }
        let Ok(entries) = fs::read_dir(path) else {
            return;
        };
        let mut below: Vec<PathBuf> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
            .collect();
        below.sort();
        for path in below {
            self.directory(&path, depth + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(root: &Path, below: &str) -> PathBuf {
        let dir = root.join(below);
        fs::create_dir_all(dir.join("index")).unwrap();
        fs::write(dir.join("metadata"), "").unwrap();
        dir
    }

    #[test]
    fn sessions_archives_and_files() {
        let root = tempfile::tempdir().unwrap();
        let ust = trace(root.path(), "ust/uid/1000/64-bit");
        let kernel = trace(root.path(), "kernel");
        let chunk = trace(root.path(), "archives/20261122T1-2-3/kernel");
        std::os::unix::fs::symlink(root.path(), root.path().join("loop")).unwrap();
        assert_eq!(discover(root.path()).unwrap(), [chunk, kernel.clone(), ust]);
        assert_eq!(discover(&kernel).unwrap(), std::slice::from_ref(&kernel));
        assert_eq!(discover(&kernel.join("metadata")).unwrap(), [kernel]);
    }

    #[test]
    fn errors_name_the_path_and_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let error = discover(root.path()).unwrap_err().to_string();
        assert!(
            error.contains(&root.path().display().to_string()),
            "{error}"
        );
        assert!(error.contains("give the directory"), "{error}");
        assert!(matches!(
            discover(&root.path().join("none")),
            Err(Error::Io { .. })
        ));
        fs::write(root.path().join("k_0"), "").unwrap();
        assert!(matches!(
            discover(&root.path().join("k_0")),
            Err(Error::NoTrace { .. })
        ));
    }
}
