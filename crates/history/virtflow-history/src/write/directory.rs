//! The directory of a store: another name until it is whole.

use crate::StoreError;
use crate::manifest::{MANIFEST, Manifest};
use crate::write::CHUNKED;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Tells stores that one process writes at once apart.
static NEXT: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
pub(super) struct Directory {
    target: PathBuf,
    partial: PathBuf,
    published: bool,
}

impl Directory {
    pub(super) fn begin(target: &Path) -> Result<Self, StoreError> {
        free(target)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let partial =
            target.with_file_name(format!(".{name}.partial-{}-{number}", std::process::id()));
        for table in CHUNKED {
            let path = partial.join(table);
            fs::create_dir_all(&path).map_err(StoreError::io(&path, "cannot create"))?;
        }
        Ok(Self {
            target: target.to_owned(),
            partial,
            published: false,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.partial
    }

    pub(super) fn write_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let path = self.partial.join(MANIFEST);
        let fresh = path.with_extension("new");
        let mut text = serde_json::to_vec_pretty(manifest).map_err(|e| StoreError::Manifest {
            path: path.clone(),
            what: e.to_string(),
        })?;
        text.push(b'\n');
        fs::write(&fresh, text).map_err(StoreError::io(&fresh, "cannot write"))?;
        fs::rename(&fresh, &path).map_err(StoreError::io(&path, "cannot rename"))
    }

    /// All files to disk; their size.
    pub(super) fn sync(&self) -> Result<u64, StoreError> {
        let mut bytes = 0;
        let mut open = vec![self.partial.clone()];
        while let Some(path) = open.pop() {
            let found = fs::read_dir(&path).map_err(StoreError::io(&path, "cannot list"))?;
            for entry in found {
                let path = entry.map_err(StoreError::io(&path, "cannot list"))?.path();
                if path.is_dir() {
                    open.push(path);
                    continue;
                }
                let sync = || {
                    let file = File::open(&path)?;
                    file.sync_all()?;
                    Ok(file.metadata()?.len())
                };
                bytes += sync().map_err(StoreError::io(&path, "cannot write to disk"))?;
            }
            sync_directory(&path)?;
        }
        Ok(bytes)
    }

    /// Gives the store its own name; one that had it goes.
    pub(super) fn publish(&mut self) -> Result<(), StoreError> {
        free(&self.target)?;
        let old = self.partial.with_extension("old");
        let replaces = self.target.exists();
        if replaces {
            fs::rename(&self.target, &old)
                .map_err(StoreError::io(&self.target, "cannot rename"))?;
        }
        fs::rename(&self.partial, &self.target)
            .map_err(StoreError::io(&self.target, "cannot rename"))?;
        self.published = true;
        if replaces {
            fs::remove_dir_all(&old).map_err(StoreError::io(&old, "cannot remove"))?;
        }
        match self.target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
            _ => sync_directory(Path::new(".")),
        }
    }
}

/// The size of all files below a directory.
pub fn size(directory: &Path) -> Result<u64, StoreError> {
    let failed = || StoreError::io(directory, "cannot list");
    let mut bytes = 0;
    for entry in fs::read_dir(directory).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let about = entry.metadata().map_err(failed())?;
        bytes += if about.is_dir() {
            size(&entry.path())?
        } else {
            about.len()
        };
    }
    Ok(bytes)
}

/// A store may be replaced, and an empty directory; nothing else.
fn free(target: &Path) -> Result<(), StoreError> {
    let in_the_way = match fs::read_dir(target) {
        Ok(mut found) => found.next().is_some() && !Manifest::is_store(target),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
        Err(_) => true,
    };
    if in_the_way || target.file_name().is_none() {
        return Err(StoreError::InTheWay {
            path: target.to_owned(),
        });
    }
    Ok(())
}

fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let sync = || File::open(path)?.sync_all();
    sync().map_err(StoreError::io(path, "cannot write to disk"))
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.published {
            // It says that it is not whole; removing it is only tidiness.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}
