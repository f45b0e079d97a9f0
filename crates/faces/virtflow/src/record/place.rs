//! Where a recording goes.

use crate::args::{RecordArgs, UsageError};
use anyhow::Context;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where nothing is yet, or an empty directory. One that nobody named is made at once, so that none of several
/// recordings that begin in the same second takes that of another; it goes again if nothing comes to
/// lie in it.
pub(super) struct Place {
    path: PathBuf,
    is_made: bool,
}

impl Place {
    pub(super) fn new(args: &RecordArgs) -> anyhow::Result<Self> {
        let path = named(args);
        if args.output.is_none() {
            let made = Self::make(&path);
            return made.with_context(|| format!("{}: cannot be made", path.display()));
        }
        if path.exists() && !is_empty_directory(&path) {
            let what = format!("{}: exists; name another directory with -o", path.display());
            return Err(UsageError(what).into());
        }
        Ok(Self {
            path,
            is_made: false,
        })
    }

    /// Makes the directory of this name, or the first of those with a number that is not there.
    fn make(name: &Path) -> std::io::Result<Self> {
        let numbered = (2..).map(|n: u32| PathBuf::from(format!("{}-{n}", name.display())));
        for path in std::iter::once(name.to_owned()).chain(numbered) {
            match std::fs::create_dir(&path) {
                Ok(()) => {
                    return Ok(Self {
                        path,
                        is_made: true,
                    });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_made {
            // One that holds something stays.
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}

fn is_empty_directory(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// What it is called: as somebody wants it, or by the time.
pub(super) fn named(args: &RecordArgs) -> PathBuf {
    match &args.output {
        Some(directory) => directory.clone(),
        None => PathBuf::from(format!(
            "virtflow-{}",
            jiff::Zoned::now().strftime("%Y%m%d-%H%M%S")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;
    use std::collections::BTreeSet;

    #[test]
    fn only_what_is_empty_is_taken() {
        let scratch = tempfile::tempdir().unwrap();
        let place = |path: &Path| {
            let path = path.to_str().unwrap();
            match Cli::parse_from(["virtflow", "record", "-o", path]).command {
                Command::Record(args) => Place::new(&args).map(|place| place.path().to_owned()),
                other => panic!("{other:?}"),
            }
        };
        let there = scratch.path();
        assert_eq!(place(there).unwrap(), there);
        assert!(there.is_dir(), "it was there before");
        let file = there.join("file");
        assert_eq!(place(&file).unwrap(), file);
        std::fs::write(&file, "").unwrap();
        for taken in [there, file.as_path()] {
            let why = place(taken).unwrap_err().to_string();
            assert!(why.contains("exists; name another directory"), "{why}");
        }
    }

    #[test]
    fn of_several_in_the_same_second_each_has_its_own() {
        let scratch = tempfile::tempdir().unwrap();
        let name = scratch.path().join("virtflow-20260101-000000");
        let places: Vec<Place> = std::thread::scope(|scope| {
            let make = || scope.spawn(|| Place::make(&name).unwrap());
            let all: Vec<_> = std::iter::repeat_with(make).take(8).collect();
            all.into_iter().map(|made| made.join().unwrap()).collect()
        });
        let names: BTreeSet<_> = places.iter().map(|place| place.path().to_owned()).collect();
        assert_eq!(names.len(), 8);
        assert!(names.contains(&name) && names.iter().all(|name| name.is_dir()));
        // Only what holds something stays.
        std::fs::write(name.join("metadata"), "").unwrap();
        drop(places);
        let there = std::fs::read_dir(scratch.path()).unwrap();
        let there: Vec<_> = there.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(there, [name]);
        let nowhere = scratch.path().join("not-there").join("name");
        assert!(Place::make(&nowhere).is_err());
    }
}
